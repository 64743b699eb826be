"""The search explainer, one file a step: table of conditions, fit, experiments, choice, words."""
