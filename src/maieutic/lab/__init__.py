"""Where an explainer questions a unit: exemplars, measurements, and the ledger that records them."""

from maieutic.lab.bank import Bank, BankUse
from maieutic.lab.lab import Budget, Lab, Question, activation_scale, measure_together
from maieutic.lab.ledger import Entry, Ledger

__all__ = [
    "Bank", "BankUse", "Budget", "Entry", "Lab", "Ledger", "Question", "activation_scale", "measure_together",
]  # fmt: skip
