"""Judged scorers: a language model that saw nothing of the explaining reads a label and foretells the unit by it.

For comparison with published labels. They forgive labels that leave something out or claim too much, and the judge's own
knowledge stands between a label and its score, so none of them is evidence alone (``docs/judges.md``).
"""
