"""Interpretability of one model of the study, from exact labels and from the project's own explainers.

`measure.measure_interpretability` gives all rows; `plan` says how much. `neurons` scores units against predicates and controls,
`bands` looks at weak and strong firings, `hiding` asks whether an extra LayerNorm brings mess back, `probing` looks at every
location, `circuits` counts the units behind a behaviour, `explained` runs harvest, explainer and scorer as on any model.

What this package does not do: compare models (`maieutic.studies.regularization.comparing`), or edit them (`editing`).
"""
