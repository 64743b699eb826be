"""Sparse autoencoders made and judged here: a small trainer of top-k SAEs, and whether latents can be explained better.

`settings` says how one is trained, `activations` gives what it is trained on, `training` trains, `metrics` measures it on held-out
text beside PCA and random weights, `bases` and `comparing` explain its latents beside other units of the same layer.

What this package does not do: train on images, or transcode. SAEs of others are read by `maieutic.subjects.lenses.sae_formats`.
"""
