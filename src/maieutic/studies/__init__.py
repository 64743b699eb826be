"""Studies: the same measurements over variants of a model, with the variant as the treatment and the seed as the replicate.

What this room does not do: say more than its comparisons carry.
"""
