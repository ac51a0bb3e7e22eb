"""What the rows of an audit say, as findings: one statistic each, with its bounds, its validity and one plain sentence.

The statistics, for each method:

=============================================  ==========================================================  ====================
key                                            value                                                       bounds
=============================================  ==========================================================  ====================
``quality.nrmse.median`` (``psnr``, ``ssim``)  median over patients                                        order statistics
``quality.psnr.difference_to_reference``       mean paired difference, dB                                  paired t
``worst_case.relative_change.max``             largest found (``relative_error``, ``gain``,                below only
                                               ``local_damage`` likewise)
``worst_case.relative_change.median``          median over patients of what was found                      order statistics
``worst_case.relative_change.p90``             90 % quantile over patients of what was found               order statistics
``worst_case.amplification_over_noise``        geometric mean of found over noise of the same norm         t on logarithms
``worst_case.relative_change``                 geometric mean of found over the reference's found          t on logarithms
``.ratio_to_reference``
``structure.recovery.min``                     least recovery of an identifiable detail                    above only
``structure.recovery.median``                  median over patients of the mean recovery                   order statistics
``structure.lost_fraction``                    share of patients with a recovery below 0.5                 Clopper-Pearson
``structure.outside_energy.max``               largest energy outside the detail over that of the detail   below only
``missed_lesion.recovery.min``                 least recovery of a lesion found by a search                above only
``missed_lesion.recovery``                     mean paired difference of the least found of each           paired t
``.difference_to_reference``
``sampling.more_is_poorer``                    largest mean paired rise of NRMSE with more samples         paired t, Bonferroni
``noise.nrmse.growth``                         geometric mean of NRMSE at the most noise over that at 1        t on logarithms
``noise.nrmse.ratio_to_reference``             the same of NRMSE at the most noise over the reference's    t on logarithms
``repeatability.difference.max``               largest change of the image where none should be            below only
``image_quality.f50.fall``                     largest mean fall of f50 from the highest contrast          t, Bonferroni
``image_quality.bias.max``                     largest |bias| of a flat region over the largest pixel      below only, t
``shift.poorer_beyond_linear``                 largest min(change, excess over linear) of NRMSE by a shift  paired t, Bonferroni
``shift.searched.poorer_beyond_linear``        the same of the worst found in a box                        below only, paired t
``detectability.threshold``                    largest geometric mean of threshold contrast over the reference's  t on logs, Bonferroni
``.ratio_to_reference``
``detectability.auc.min``                      smallest mean AUC at the highest contrast                   t, Bonferroni
``kernel.hallucinated.median``                 median over patients of what is shown in the null space alone  order statistics
``kernel.hallucinated``                        mean paired difference of it                                paired t
``.difference_to_reference``
``kernel.transfer_bound.max``                  largest lower bound of the gain found by detail transfer    below only
``lipschitz.<bracket>``                        largest gain found                                          the bracket
=============================================  ==========================================================  ====================

Worst-case statistics are of the most that was found within the largest radius, ratios of what was found at it. Bounds are
one-sided at the stated level, one value a patient; with too few patients there is none, and that is said. Values that are not
finite stay in: a network that breaks down is no missing value. Nothing is decided here: see `stabtest.findings.decide`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from stabtest import statistics
from stabtest.findings.detectability_rows import DetectabilityRow
from stabtest.findings.kernel_rows import KernelErrorRow, KernelTransferRow
from stabtest.findings.missed_rows import MissedLesionRow
from stabtest.findings.noise_rows import NoiseRow, RepeatabilityRow
from stabtest.findings.physics_rows import BiasRow, TransferRow
from stabtest.findings.records import Bracket, Gate, QualityRow, Record, SamplingRow, StructureRow, WorstCaseRow
from stabtest.findings.shift_rows import ShiftRow
from stabtest.findings.verdicts import Finding
from stabtest.stability.summaries.context import Context
from stabtest.stability.summaries.detectability import summarise_detectability
from stabtest.stability.summaries.image_quality import summarise_image_quality
from stabtest.stability.summaries.kernel import summarise_kernel
from stabtest.stability.summaries.lipschitz import summarise_lipschitz
from stabtest.stability.summaries.missed_lesion import summarise_missed_lesion
from stabtest.stability.summaries.noise import summarise_noise
from stabtest.stability.summaries.quality import summarise_quality
from stabtest.stability.summaries.repeatability import summarise_repeatability
from stabtest.stability.summaries.sampling import summarise_sampling
from stabtest.stability.summaries.shift import summarise_shift
from stabtest.stability.summaries.structure import summarise_structure
from stabtest.stability.summaries.worst_case import summarise_worst_case


def summarise(
    rows: Iterable[Record],
    *,
    roles: Mapping[str, str],
    patients: Mapping[str, str] | None = None,
    gates: Sequence[Gate] = (),
    level: float = statistics.LEVEL,
) -> list[Finding]:
    """Findings from the rows of any tests, methods and cases.

    Parameters
    ----------
    rows
        Rows of `stabtest.findings.records`, in any order; kinds that have no statistic are passed over.
    roles
        Method name to "under test", "reference" or "baseline", in the order of the report.
    patients
        Case name to patient; a case that is not in it is its own patient.
    gates
        Validity checks; a failed one whose ``subject`` is a method's name invalidates that method's findings.
    level
        One-sided level of the bounds.

    Returns
    -------
    list of Finding
        Not yet decided; in the order quality, worst case, structure, missed lesion, sampling, noise, repeatability, image quality,
        shift, detectability, kernel, Lipschitz, and within it by method.

    Examples
    --------
    >>> row = QualityRow(case="a", method="net", nrmse=0.1, psnr=30.0, ssim=0.9)
    >>> [(f.statistic, f.value, f.interval) for f in summarise([row], roles={"net": "under test"})][1]
    ('quality.psnr.median', 30.0, None)
    """
    every = list(rows)
    context = Context(roles=dict(roles), patients=dict(patients or {}), gates=tuple(gates), level=level)
    tested = next((method for method, role in roles.items() if role == "under test"), "the network")
    return [
        *summarise_quality([row for row in every if isinstance(row, QualityRow)], context),
        *summarise_worst_case([row for row in every if isinstance(row, WorstCaseRow)], context),
        *summarise_structure([row for row in every if isinstance(row, StructureRow)], context),
        *summarise_missed_lesion([row for row in every if isinstance(row, MissedLesionRow)], context),
        *summarise_sampling([row for row in every if isinstance(row, SamplingRow)], context),
        *summarise_noise([row for row in every if isinstance(row, NoiseRow)], context),
        *summarise_repeatability([row for row in every if isinstance(row, RepeatabilityRow)], context),
        *summarise_image_quality(
            [row for row in every if isinstance(row, TransferRow)], [row for row in every if isinstance(row, BiasRow)], context
        ),
        *summarise_shift([row for row in every if isinstance(row, ShiftRow)], context),
        *summarise_detectability([row for row in every if isinstance(row, DetectabilityRow)], context),
        *summarise_kernel(
            [row for row in every if isinstance(row, KernelErrorRow)],
            [row for row in every if isinstance(row, KernelTransferRow)],
            context,
        ),
        *summarise_lipschitz([row for row in every if isinstance(row, Bracket)], tested, context),
    ]
