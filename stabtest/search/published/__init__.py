"""The attacks of the literature under their authors' names, for comparison and for reproduction.

Each is a function ``(problem, leader, *, steps, ..., generator, start=None)``: it evaluates points of the set and offers each
to the leader. All take ``steps`` steps and score the last point, ``steps + 1`` evaluations (fewer where a published rule stops
them); all begin at ``start`` or, without one, at the same random direction, so that they can be compared alike. The defaults are the published
settings; each file says what they are, where they come from and what was changed to fit hard constraints.

===================  ==============================================  ==========================================
file                 step                                            to be tuned
===================  ==============================================  ==========================================
`antun_2020`         gradient with momentum                          learning rate, penalty
`genzel_2022`        projected Adam                                  learning rate
`darestani_2021`     projected Adam, other settings                  learning rate
`pgd`                normalised gradient, fixed step                 step size
`apgd`               normalised gradient, momentum, halved steps     nothing
===================  ==============================================  ==========================================

Complex variables are pairs of real numbers in the methods that work element by element (Adam), as in the original codes.
"""

from stabtest.search.published.antun_2020 import antun_2020
from stabtest.search.published.apgd import apgd
from stabtest.search.published.darestani_2021 import darestani_2021
from stabtest.search.published.genzel_2022 import genzel_2022
from stabtest.search.published.pgd import pgd

__all__ = ["antun_2020", "apgd", "darestani_2021", "genzel_2022", "pgd"]
