"""What made a model do what it did: actions, the parts of their context, experiments on both, and the evidence in rungs.

It speaks of the cause of an action, never of a motive.
"""
