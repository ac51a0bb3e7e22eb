"""How good is the image when nothing is wrong? The accuracy that every stability figure stands beside.

A method that is stable because it is blind must not pass. So the error of the clean reconstruction, ``f(y)`` against the
truth ``x``, is measured first: NRMSE, PSNR and SSIM as `stabtest.metrics` defines them. Without a truth the row says so with
``None`` and nothing is made up.
"""

from __future__ import annotations

from functools import partial

from stabtest import metrics
from stabtest.findings.records import Picture, QualityRow
from stabtest.networks.magnitude import comparable
from stabtest.stability.cases import Case, Method, Outcome
from stabtest.stability.pictures import picture


def quality(method: Method, case: Case, *, pictures: bool = True) -> Outcome:
    """Accuracy of one method on the clean measurement of one case.

    Parameters
    ----------
    method, case
        What reconstructs, and what is reconstructed.
    pictures
        Whether to hand back the truth, the clean reconstruction and their difference.

    Returns
    -------
    Outcome
        One `QualityRow`; NRMSE without unit, PSNR in dB.

    Raises
    ------
    NetworkError
        If the method does not return a finite image of the right shape.

    Examples
    --------
    >>> import torch
    >>> from stabtest.operators import Identity
    >>> image = torch.rand(1, 1, 16, 16)
    >>> case = Case("a", "a", "other", Identity((16, 16)), 1.1 * image, truth=image)
    >>> round(quality(Method("direct", "baseline", lambda y, A: A.pseudo_inverse(y)), case).rows[0].nrmse, 4)
    0.1
    """
    clean = method(case.measurement, case.operator)
    draw = partial(picture, case=case, section="quality")
    name, shown = method.name, list[Picture]()
    if pictures:
        shown.append(draw(clean, method=name, role="clean", kind="anatomy", caption=f"{name}, clean measurement"))
    if case.truth is None:
        return Outcome((QualityRow(case=case.name, method=name, nrmse=None, psnr=None, ssim=None),), tuple(shown))
    truth = comparable(case.truth, clean)
    row = QualityRow(
        case=case.name,
        method=name,
        nrmse=float(metrics.nrmse(clean, truth)),
        psnr=float(metrics.psnr(clean, truth)),
        ssim=float(metrics.ssim(clean, truth)),
    )
    if pictures:
        caption = f"{name}: magnitude of the error"
        shown.append(draw(case.truth, method="truth", role="truth", kind="anatomy", caption="Truth"))
        shown.append(draw(clean - truth, method=name, role="difference", kind="error", caption=caption))
    return Outcome((row,), tuple(shown))
