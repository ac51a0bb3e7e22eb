"""Networks that are translation-invariant between their activations: bounds frequency by frequency.

`network` is the form, `translate` makes it from a graph, `symbols` evaluates its linear parts at a frequency, `forms` puts
the quadratic form of the semidefinite bound together and eliminates it from the finest grid to the coarsest,
`start` and `seek` find multipliers, `semidefinite` certifies what they give.
"""
