"""The study of regularisation: which regularisers make a small language model easier to interpret and to edit, and at what price.

`arms` says what is compared, `config` what a run of the study does, `variants` lists its training jobs, `train` does them.

What this package does not do: train models that are good at anything but its own corpora. What it finds holds for these.
"""
