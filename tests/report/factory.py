"""Synthetic documents: realistic enough to look at, and without any measurement behind them."""

from __future__ import annotations

import math

import numpy as np

from stabtest.findings.document import (
    CaseInfo,
    Cost,
    DataInfo,
    DetectabilitySection,
    Document,
    ImageQualitySection,
    Item,
    KernelSection,
    LipschitzSection,
    MissedLesionSection,
    NoiseSection,
    RepeatabilitySection,
    SamplingSection,
    ShiftSection,
    StructureSection,
    Tool,
    WorstCaseSection,
)
from stabtest.findings.missed_rows import MissedLesionRow
from stabtest.findings.noise_rows import NoiseRow, RepeatabilityRow
from stabtest.findings.physics_rows import BiasRow, ContrastStatement, NoisePowerRow, TransferRow, UniformityRow
from stabtest.findings.records import (
    BoundRow,
    Bracket,
    Failure,
    Gate,
    Interval,
    LayerRow,
    NormalisedRow,
    PatternRow,
    Picture,
    QualityRow,
    SamplingRow,
    SamplingStatement,
    StructureRow,
    WorstCaseRow,
)
from stabtest.findings.shift_rows import ShiftRow
from stabtest.findings.verdicts import Criterion, Finding, criteria_hash, decide

NET, TV, ZERO = "unet-mri", "TV", "zero-filled"
RADII = [0.005, 0.01, 0.02, 0.05, 0.1]
FRAGILITY = {NET: 3.1, TV: 1.05, ZERO: 0.62}
QUALITY = {NET: 0.071, TV: 0.094, ZERO: 0.163}


def document(**changes):
    """A small valid document in which no test was run."""
    base = {
        "id": "audit-0001",
        "title": "Stability of unet-mri on head phantoms",
        "created": "2025-02-03T10:20:30Z",
        "tool": Tool(
            version="0.1.0",
            commit="0123abc",
            python="3.11.2",
            packages={"torch": "2.13.0", "numpy": "2.4.6"},
            platform="Linux x86-64",
            device="cpu",
            threads=1,
        ),
        "command": "stabtest audit stabtest.toml --out out",
        "configuration": {"audit": {"title": "t", "seed": 1}, "worst_case": {"radii": RADII}},
        "configuration_sha256": "c" * 64,
        "seed": 1,
        "modality": "mri",
        "items": [Item(name=NET, role="under test", description="U-Net after zero-filling")],
        "operator": {"kind": "fourier", "shape": "128 x 128", "acceleration": 4, "sampling_fraction": 0.28125},
        "data": DataInfo(source="head phantoms", simulated=True, cases=[]),
        "gates": [],
        "quality": [],
        "criteria": [],
        "criteria_sha256": criteria_hash([]),
        "criteria_frozen": None,
        "findings": [],
        "cost": Cost(wall_seconds=83.2, units=24, gradient_evaluations=5120),
    }
    return Document.model_validate({**base, **changes})


def full(cases: int = 4, size: int = 96):
    """A document with every section, as an audit of an MRI network would fill it."""
    rng = np.random.default_rng(7)
    names = [f"head-{index:03d}" for index in range(cases)]
    criteria = [
        Criterion(
            id="C1",
            statistic="worst_case.relative_change.ratio_to_reference",
            rule="at most",
            limit=2.0,
            rationale="At the same radius and budget the network may change at most twice as much as TV.",
        ),
        Criterion(
            id="C2",
            statistic="structure.recovery.min",
            rule="at least",
            limit=0.5,
            rationale="A lesion that the data carry comes back with at least half of its contrast.",
        ),
        Criterion(
            id="C3",
            statistic="worst_case.relative_change.max",
            rule="at most",
            limit=0.6,
            universal=True,
            rationale="No admissible perturbation of 5 % changes the image by more than 60 %.",
        ),
        Criterion(id="C4", statistic="quality.psnr.median", rule="at least", limit=28.0, rationale="Usual for this sequence."),
        Criterion(id="C5", statistic="noise.dose.slope", rule="at most", limit=1.0, rationale="Not measured by this version."),
    ]
    worst = worst_case_rows(names, rng)
    return document(
        draft=True,
        items=items(),
        data=DataInfo(
            source="Head phantoms, simulated on a grid twice as fine, seeds 1000 to 1003",
            simulated=True,
            cases=[
                CaseInfo(name=name, patient=name, shape=[size, size], truth="phantom", noise_std=0.01, notes=[])
                for name in names
            ],
            notes=["Phantoms have less texture than patients: numbers on real data may differ."],
            files={"mask.npy": "a" * 64},
        ),
        gates=gates(),
        quality=[
            QualityRow(
                case=n, method=m, nrmse=q * rng.uniform(0.9, 1.1), psnr=-20 * math.log10(q) + 9 + rng.normal(), ssim=1 - q
            )
            for n in names
            for m, q in QUALITY.items()
        ],
        worst_case=WorstCaseSection(
            domain="measurement",
            objective="distance to the clean reconstruction",
            radii=RADII,
            budget="60 evaluations on 3 paths, warm start over the radii",
            rows=worst,
        ),
        structure=StructureSection(
            description="Round lesions are put into the object before the scan; the noise is the same with and without.",
            rows=structure_rows(names, rng),
        ),
        missed_lesion=missed_lesion(names, rng),
        sampling=sampling(names, rng),
        noise=noise(names, rng),
        repeatability=repeatability(names),
        image_quality=image_quality(names),
        shift=shift(names, rng),
        detectability=detectability(names, rng),
        kernel=kernel(names, rng),
        lipschitz=lipschitz(names),
        criteria=criteria,
        criteria_sha256=criteria_hash(criteria),
        criteria_frozen="2025-02-03T10:18:00Z",
        findings=findings(criteria),
        failures=[Failure(unit="sampling/TV/head-003", error="AuditError: ran out of time. Remedy: run again to resume.")],
        deviations=["C4 was added after the freeze."],
        limitations=["Four phantoms are too few for a tolerance bound."],
        pictures=pictures(names[: min(cases, 4)], size),
    )


def items():
    card = {
        "data": {"train": "2000 head phantoms, seeds 0 to 999 999", "validation": "64 phantoms"},
        "steps": 12000,
        "seed": 0,
        "held_out": {"psnr": 31.84, "nrmse": 0.0712},
        "loss": [[step, 0.4 * math.exp(-step / 2500) + 0.02] for step in range(0, 12001, 400)],
    }
    return [
        Item(
            name=NET,
            role="under test",
            description="U-Net after zero-filling, 4x Cartesian",
            settings={"takes": "pseudo_inverse", "channels": "real-imag", "scale": "max"},
            parameters=1_927_841,
            weights_file="unet-mri.safetensors",
            weights_sha256="f" * 64,
            card=card,
            intended_use="Research only.",
        ),
        Item(name=TV, role="reference", description="Total variation by PDHG", settings={"weight": 0.002, "iterations": 200}),
        Item(name=ZERO, role="baseline", description="Zero-filled inverse Fourier transform"),
    ]


def gates():
    return [
        Gate(name="adjoint", subject="forward model", passed=True, value=2.1e-8, limit=1e-6, detail="normalised dot test"),
        Gate(name="gradient", subject=NET, passed=True, value=0.0031, limit=0.02, detail="against finite differences"),
        Gate(name="determinism", subject=NET, passed=True, value=0.0, limit=0.0, detail="two runs, same bits"),
        Gate(name="accuracy", subject=NET, passed=True, value=0.071, limit=0.163, detail="NRMSE below that of zero-filling"),
    ]


def worst_case_rows(names, rng):
    rows = []
    for name in names:
        tilt = rng.uniform(0.8, 1.25)
        for method, slope in FRAGILITY.items():
            for radius in RADII:
                change = 1.4 * math.tanh(slope * tilt * radius / 1.4 * 3)
                noise = 0.35 * radius * (1 + 0.2 * rng.random())
                rows.append(
                    WorstCaseRow(
                        case=name,
                        method=method,
                        domain="measurement",
                        objective="clean",
                        radius=radius,
                        radius_absolute=radius * 41.7,
                        relative_change=change,
                        relative_error=math.hypot(change, QUALITY[method]),
                        clean_error=QUALITY[method],
                        gain=change / radius / 1.1,
                        local_damage=min(1.5, 1.8 * change),
                        noise_change_median=noise,
                        noise_change_max=noise * 1.3,
                        noise_draws=50,
                        violation=1.2e-8,
                        evaluations=64,
                        history=[(k, change * (1 - math.exp(-k / 6))) for k in range(1, 61, 4)],
                        status="still rising" if radius == 0.1 and method == NET else "converged",
                        spread=0.031 if method == NET else None,
                        witness=f"w.{name}.{method}.r{radius:g}",
                    )
                )
    return rows


def structure_rows(names, rng):
    rows = []
    for name in names:
        for method, loss in {NET: 0.55, TV: 0.3, ZERO: 0.2}.items():
            for contrast in (0.1, 0.3):
                for diameter in (3.0, 5.0, 8.0, 12.0):
                    back = 1 - loss * math.exp(-diameter * contrast) - loss * 0.2 + 0.03 * rng.normal()
                    rows.append(
                        StructureRow(
                            case=name,
                            method=method,
                            detail="lesion",
                            site="(41, 52)",
                            diameter_px=diameter,
                            contrast=contrast,
                            recovery=back,
                            region_nrmse=abs(1 - back) + 0.05,
                            outside_energy=0.04 + 0.02 * rng.random(),
                            sham_recovery=0.02 * rng.normal(),
                            data_detectability=diameter * contrast * 9,
                            null_space_share=0.7 - 0.02 * diameter,
                            identifiable=diameter * contrast > 0.4,
                        )
                    )
            rows.append(
                StructureRow(
                    case=name,
                    method=method,
                    detail="line pairs",
                    site="(41, 52)",
                    diameter_px=10.0,
                    diameter_mm=5.0,
                    contrast=0.3,
                    recovery=1 - loss,
                    region_nrmse=loss,
                    outside_energy=0.05,
                    sham_recovery=0.01,
                    data_detectability=30.0,
                    null_space_share=0.5,
                    identifiable=True,
                    local_recovery=1 - 1.1 * loss,
                    modulation=1 - 1.5 * loss,
                )
            )
    return rows


def missed_lesion(names, rng):
    """The network loses a lesion that TV and the linear reconstruction show; in the last case the data carry none."""
    rows = []
    for name in names:
        for method, back, grid in ((NET, 0.21, 0.62), (TV, 0.71, 0.78)):
            there = name != names[-1] or len(names) == 1
            back, grid = (one * rng.uniform(0.95, 1.05) if there else None for one in (back, grid))
            figures = {"row": 40.2, "column": 51.7, "diameter_px": 4.1, "contrast": -0.13, "aspect": 1.8, "degrees": 32.0}
            rows.append(
                MissedLesionRow(
                    case=name,
                    method=method,
                    **(figures if there else dict.fromkeys(figures)),
                    recovery=back,
                    search_recovery=back,
                    grid_recovery=grid,
                    half_recovery=back + 0.05 if there else None,
                    region_nrmse=0.8 if there else None,
                    outside_energy=0.1 if there else None,
                    sham_recovery=0.02 if there else None,
                    data_detectability=9.0 if there else None,
                    null_space_share=0.3 if there else None,
                    identifiable=there,
                    reference=TV if there and method == NET else None,
                    reference_recovery=0.82 if there and method == NET else None,
                    linear_recovery=0.9 if there else None,
                    evaluations=150 if there else 0,
                    gradient="autograd" if there else "none",
                    set_aside=0 if there else 50,
                )
            )
    description = "Searched: 4 to 8 pixels in diameter, 0.1 to 0.2 of the largest pixel in height, bright or dark."
    budget = "150 reconstructions for each method and case; the same for every method"
    return MissedLesionSection(description=description, budget=budget, rows=rows)


def patterns(names):
    rows = []
    for name in names:
        for method, error, other in ((NET, 0.07, 0.16), (TV, 0.1, 0.09)):
            for pattern, nrmse in (("trained", error), ("variable_density", other)):
                figures = {"count": 4608, "fraction": 0.28125, "nrmse": nrmse, "change": nrmse - error, "psnr": 20.0}
                rows.append(PatternRow(case=name, method=method, pattern=pattern, **figures))
    return rows


def sampling(names, rng):
    rows = []
    for name in names:
        for method in (NET, TV):
            for count, fraction in ((2048, 0.125), (4608, 0.28125), (8192, 0.5), (16384, 1.0)):
                fall = 0.14 * math.exp(-6 * fraction) + 0.02
                error = fall if method == TV else max(0.06, fall) + 0.05 * max(0, fraction - 0.28)
                error *= rng.uniform(0.95, 1.05)
                rows.append(
                    SamplingRow(
                        case=name,
                        method=method,
                        count=count,
                        fraction=fraction,
                        trained=count == 4608,
                        nrmse=error,
                        psnr=-20 * math.log10(error) + 8,
                    )
                )
    statements = [
        SamplingStatement(
            method=NET,
            from_fraction=0.28125,
            to_fraction=1.0,
            change=0.0331,
            interval=Interval(lower=0.021, upper=0.046, level=0.95, method="paired t"),
            statement="More samples, poorer image.",
        ),
        SamplingStatement(method=TV, from_fraction=0.28125, to_fraction=1.0, change=-0.021, interval=None, statement="Better."),
    ]
    return SamplingSection(
        description="Nested masks: more is always a superset; the network is unchanged.",
        axis="k-space samples",
        trained_fraction=0.28125,
        rows=rows,
        statements=statements,
        patterns=patterns(names),
    )


def noise(names, rng):
    rows = []
    for name in names:
        for method, bias in ((NET, 0.06), (TV, 0.1)):
            for level in (0.5, 1.0, 2.0, 4.0):
                spread = 0.03 * level * rng.uniform(0.95, 1.05)
                wrong = bias * (1 + (0.4 * level**2 / 16 if method == NET else 0))
                rows.append(
                    NoiseRow(
                        case=name,
                        method=method,
                        level=level,
                        kind="gaussian",
                        noise_std=0.01 * level,
                        photons=None,
                        relative_norm=0.014 * level,
                        draws=4,
                        nrmse=math.hypot(wrong, spread),
                        nrmse_max=1.05 * math.hypot(wrong, spread),
                        bias=wrong,
                        spread=spread,
                        gain=0.8,
                    )
                )
    return NoiseSection(
        description="Gaussian noise in multiples of the scan's own level; 4 draws at each level.", trained=(0.5, 1.5), rows=rows
    )


def repeatability(names):
    tried = (
        ("same input", 0.0, ""),
        ("in a batch", 3e-7, "first and last of three"),
        ("device", None, "no GPU on this machine"),
    )
    return RepeatabilitySection(
        rows=[
            RepeatabilityRow(case=names[0], method=method, variation=what, difference=value, largest=value, note=note)
            for method in (NET, TV)
            for what, value, note in tried
        ]
    )


def shift(names, rng):
    """The network suffers from translation and inversion more than the linear reconstruction; the maps cannot be had."""
    from stabtest.stability.shift import statements

    tried = (  # shift, size, unit, change of net, of TV, of the linear reconstruction
        ("intensity", -0.2, "relative", 0.004, 0.011, 0.0),
        ("rotation", 2.0, "degrees", 0.012, 0.002, 0.001),
        ("rotation", 10.0, "degrees", 0.031, 0.004, 0.006),
        ("translation_columns", 3.5, "pixels", 0.06, 0.0, 0.0),
        ("inversion", 1.0, "share", 0.11, 0.03, 0.02),
        ("anatomy (ellipses)", 1.0, "share", -0.03, -0.05, -0.04),
        ("mask", 0.1, "share", 0.05, 0.06, 0.06),
        ("coil_gain", 0.1, "relative", None, None, None),
    )
    scans = ("mask", "coil_gain")
    rows = []
    for name in names:
        for method, place, error in ((NET, 0, 0.06), (TV, 1, 0.1)):
            for what, size, unit, *changes in tried:
                change, linear = (None if one is None else one * rng.uniform(0.9, 1.1) for one in (changes[place], changes[2]))
                known = change is not None
                rows.append(
                    ShiftRow(
                        case=name,
                        method=method,
                        family="scan" if what in scans else "object",
                        shift=what,
                        size=size,
                        unit=unit,
                        nrmse_without=error if known else None,
                        nrmse=error + change if known else None,
                        change=change,
                        linear_nrmse_without=0.2 if known else None,
                        linear_nrmse=0.2 + linear if known else None,
                        linear_change=linear,
                        defect=0.05 if known and what != "inversion" else None,
                        linear_defect=0.03 if known and what != "inversion" else None,
                        resampling_change=-0.002 if what.startswith(("rotation", "translation")) else None,
                        finer=True,
                        misfit=1.01,
                        evaluations=2 if known else 0,
                        note=None if known else "the operator has no coil maps",
                    )
                )
            found = 0.08 * rng.uniform(0.9, 1.1) if method == NET else 0.02
            rows.append(
                ShiftRow(
                    case=name,
                    method=method,
                    family="searched",
                    shift="rotation up to 5 degrees, intensity up to 10 %",
                    size=None,
                    unit="box",
                    nrmse_without=error,
                    nrmse=error + found,
                    change=found,
                    linear_nrmse_without=0.2,
                    linear_nrmse=0.21,
                    linear_change=0.01,
                    defect=None,
                    linear_defect=None,
                    parameters={"degrees": -4.6, "intensity": 0.1},
                    linear_parameters={"degrees": 5.0, "intensity": -0.1},
                    grid_nrmse=error + 0.9 * found,
                    gradient="autograd",
                    finer=True,
                    misfit=1.01,
                    evaluations=60,
                )
            )
    description = (
        "The object is changed on the grid twice as fine that it was drawn on and measured again with the same noise. The scan departs from "
        "what the methods are told of it. The worst shift of a box (rotation up to 5 degrees, intensity up to 10 %) is searched: 9 points of a "
        "grid, then 2 ascents of at most 8 steps; the same for every method."
    )
    return ShiftSection(description=description, rows=rows, statements=statements(rows))


def detectability(names, rng):
    """The network needs twice the contrast of TV, and of the small lesion tells nothing."""
    from stabtest.findings.detectability_rows import DetectabilityRow
    from stabtest.stability.detectability import auc_of, compare, thresholds

    rows = []
    for name in names:
        for method, slopes in ((NET, (2.0, 30.0)), (TV, (30.0, 60.0)), (ZERO, (25.0, 45.0))):
            for observer in ("npw", "cho"):
                for diameter, slope, data in zip((3.0, 6.0), slopes, (50.0, 100.0)):
                    slope *= rng.uniform(0.9, 1.1) * (1.0 if observer == "npw" else 0.9)
                    for contrast in (0.0, *(level / data for level in (1.0, 2.0, 4.0))):
                        value, visible = slope * contrast, data * contrast
                        rows.append(
                            DetectabilityRow(
                                case=name,
                                method=method,
                                observer=observer,
                                site="(20, 31)",
                                diameter_px=diameter,
                                contrast=contrast,
                                realisations=32,
                                training=32 if observer == "cho" else 0,
                                channels=5 if observer == "cho" else 0,
                                auc=auc_of(value),
                                auc_interval=Interval(
                                    lower=max(auc_of(value) - 0.1, 0),
                                    upper=min(auc_of(value) + 0.1, 1),
                                    level=0.95,
                                    method="DeLong",
                                ),
                                detectability=value,
                                detectability_interval=Interval(
                                    lower=value - 0.3, upper=value + 0.3, level=0.95, method="noncentral t"
                                ),
                                data_detectability=visible,
                                ideal_auc=auc_of(visible),
                                carried=auc_of(visible) >= 0.75,
                            )
                        )
    found = thresholds(rows)
    return DetectabilitySection(
        description="Discs of 3, 6 px at 1 place of each case, contrasts at which an ideal observer of the raw data has a d′ of 1, 2, 4.",
        rows=rows,
        thresholds=found,
        ratios=[one for method in (NET, ZERO) for one in compare(found, method=method, reference=TV)],
    )


def kernel(names, rng):
    """The network invents in the null space, zero-filling leaves it blank, TV is in between."""
    from stabtest.findings.kernel_rows import KernelErrorRow, KernelTransferRow, SfrcRow

    errors, transfers = [], []
    for name in names:
        for method, invented, bound in ((NET, 0.05, 14.0), (TV, 0.03, 4.0), (ZERO, 0.0, -2.0)):
            errors.append(
                KernelErrorRow(
                    case=name,
                    method=method,
                    error=0.1,
                    measured_error=0.04,
                    null_error=0.09,
                    null_share=0.81,
                    truth_null=0.2,
                    null_recovery=0.7 if invented else 0.0,
                    null_invented=invented,
                    data_consistency=0.011,
                    noise_level=0.01,
                    hallucinated_measured=0.02,
                    hallucinated_null=invented * rng.uniform(0.9, 1.1),
                    missing_null=0.01 if invented else 0.2,
                    hallucination_floor=1e-3,
                    hallucination_cut=0.01,
                    hallucination_residual=0.0,
                    projection_residual=0.0,
                    projection_iterations=0,
                    maps=f"kernel.{name}.{method}.maps",
                )
            )
            transfers += [
                KernelTransferRow(
                    case=name,
                    method=method,
                    family=family,
                    base="truth",
                    objective="excess",
                    size_limit=0.2,
                    data_limit=5.0,
                    data_unit="sigma",
                    bound=bound * (1.0 if family == "free" else 0.6),
                    ceiling=2.1,
                    ceiling_residual=0.0,
                    rounding=1e-4,
                    kernel_aware=bound < 2,
                    gain=1.2 * abs(bound),
                    image_distance=0.2,
                    data_distance=0.01,
                    error=0.1,
                    error_with=0.1,
                    data_detectability=5.0,
                    null_space_share=0.98,
                    determined=True,
                    absent=0.1,
                    present=0.9,
                    evaluations=60,
                    starts=2,
                    history=[(30, 1.0), (60, bound)],
                    status="ended",
                    witness=f"kernel.{name}.{method}.{family}.truth",
                )
                for family in ("free", "bump")
            ]
    return KernelSection(
        description="Each image is split into what the scanner measures and what it cannot see. Details are searched, the same for every method.",
        errors=errors,
        transfers=transfers,
        sfrc=[
            SfrcRow(
                case=names[0],
                method=method,
                threshold=0.5,
                least_cutoff=0.4,
                side=32,
                patches=49,
                flagged=flagged,
                lowest_cutoff=0.2,
                lowest_recovery=0.7,
                highest_recovery=1.1,
                constant_patches=4,
                scan="",
            )
            for method, flagged in ((NET, 7), (TV, 3))
        ],
    )


def image_quality(names):
    """Net and TV lose sharpness with contrast; at the lowest contrast TV erases the edge and its gate fails."""
    common = {"quantity": "along the local phase"}
    frequencies = [k / 100 for k in range(51)]
    transfer, power, bias, uniform, statements = [], [], [], [], []
    for index, name in enumerate(names):
        for method, blur in {NET: 1.0, TV: 1.15, ZERO: 0.95}.items():
            where = {"case": name, "method": method, **common}
            for contrast in (0.02, 0.1, 0.5):
                width = blur * (1 + (0 if method == ZERO else 0.12 / math.sqrt(contrast))) * (1 + 0.03 * index)
                f50 = 0.1874 / width if method != ZERO or contrast < 0.5 else math.inf
                lost = method == TV and contrast == 0.02
                interval = (
                    None
                    if lost or math.isinf(f50)
                    else Interval(lower=0.96 * f50, upper=1.05 * f50, level=0.95, method="jackknife")
                )
                transfer.append(
                    TransferRow(
                        **where,
                        diameter_px=16.0,
                        contrast=contrast,
                        sites=1,
                        realisations=6,
                        noise_ratio=1.0,
                        frequencies=frequencies,
                        transfer=[] if lost else [math.exp(-2 * (math.pi * width * f) ** 2) for f in frequencies],
                        step=0.04 if lost else 0.97 - 0.1 * (method == TV),
                        f50=None if lost else f50,
                        f10=None if lost else 0.3415 / width,
                        f50_interval=interval,
                        f50_left_out=[] if lost else [f50] * 6,
                        left_out="noise realisations",
                        edge_cnr=3.1 if lost else 1400 * contrast,
                        data_detectability=300 * contrast,
                        reliable=not lost,
                    )
                )
            for low in (0.1, 0.02):
                lost = method == TV and low == 0.02
                fall = None if lost else {NET: 0.2, TV: 0.17, ZERO: 0.0}[method]
                words = "Not compared: 4 % of the edge came back at contrast 0.02, 3.1 times the noise of the averaged change."
                statements.append(
                    ContrastStatement(
                        method=method,
                        case=name,
                        high_contrast=0.5,
                        low_contrast=low,
                        fall=fall,
                        interval=None,
                        statement=words
                        if lost
                        else f"f50 is {100 * fall:g} % lower at contrast {low:g} than at 0.5; no interval can be had.",
                    )
                )
            level = {NET: 0.011, TV: 0.008, ZERO: 0.021}[method] * (1 + 0.1 * index)
            rings = [k / 16 for k in range(9)]
            density = [level**2 * 4 * math.exp(-((f / (0.15 if method == ZERO else 0.06)) ** 2)) for f in rings]
            power.append(
                NoisePowerRow(
                    **where,
                    realisations=16,
                    noise_ratio=1.0,
                    regions=1,
                    side_px=16,
                    frequencies=rings,
                    power=density,
                    standard_error=[0.2 * value for value in density],
                    integral=level**2,
                    variance=level**2,
                    noise_std=level,
                    noise_std_hu=None,
                    peak_frequency=0.0,
                    mean_frequency=0.12,
                    noise_map="noise-map",
                )
            )
            wrong = {NET: -0.012, TV: -0.02, ZERO: 0.003}[method]
            bias.append(
                BiasRow(
                    **where,
                    site="(41, 52)",
                    diameter_px=16.0,
                    realisations=16,
                    truth=0.4,
                    bias=wrong,
                    bias_relative=wrong / 0.9,
                    bias_hu=None,
                    interval=Interval(lower=wrong - 0.002, upper=wrong + 0.002, level=0.95, method="t"),
                )
            )
            uniform.append(
                UniformityRow(
                    **where,
                    diameter_px=72.0,
                    level=0.45,
                    realisations=6,
                    means=[0.45, 0.44, 0.45, 0.44, 0.45],
                    bias=wrong / 2,
                    centre_difference=0.01,
                    centre_difference_hu=None,
                    uniformity_index=-0.022,
                    integral_uniformity=0.96,
                )
            )
    if len(names) > 1:
        bounds = Interval(lower=0.15, upper=0.25, level=0.95, method=f"Student's t, {len(names)} patients")
        statements += [
            ContrastStatement(
                method=method,
                case=None,
                high_contrast=0.5,
                low_contrast=low,
                fall=fall,
                interval=bounds if fall else None,
                statement=words,
            )
            for method, low, fall, words in (
                (
                    NET,
                    0.1,
                    0.2,
                    "Resolves less at low contrast: f50 is 20 % lower at contrast 0.1 than at 0.5 (95 % lower bound 15 %).",
                ),
                (
                    NET,
                    0.02,
                    0.2,
                    "Resolves less at low contrast: f50 is 20 % lower at contrast 0.02 than at 0.5 (95 % lower bound 15 %).",
                ),
                (
                    TV,
                    0.1,
                    0.17,
                    "Resolves less at low contrast: f50 is 17 % lower at contrast 0.1 than at 0.5 (95 % lower bound 15 %).",
                ),
                (
                    ZERO,
                    0.1,
                    0.0,
                    "No loss of resolution above 5 % shown: f50 is the same within 0.05 % at contrast 0.1 as at 0.5.",
                ),
            )
        ]
    return ImageQualitySection(
        description="16 scans with independent noise; a disc of 16 pixels at one flat place in 6 of them, at each contrast.",
        transfer=transfer,
        noise_power=power,
        bias=bias,
        uniformity=uniform,
        statements=statements,
    )


def lipschitz(names):
    layers, total = [], 1.0
    for index in range(14):
        conv = index % 2 == 0
        constant = 1.0 if not conv else 1.4 + 0.6 * math.sin(index)
        total *= constant
        layers.append(
            LayerRow(
                name=f"down.{index}.conv" if conv else f"down.{index}.relu",
                operation="Conv2d 3x3" if conv else "ReLU",
                input_shape=[32, 96, 96],
                output_shape=[32, 96, 96],
                constant=constant,
                status="certified",
                method="Fourier bound" if conv else "elementwise",
                cumulative=total,
                log_share=None if not conv else math.log(constant) / 5,
            )
        )
    brackets = [
        Bracket(
            name="network alone",
            case=None,
            lower=3.4,
            lower_source="Jacobian norm",
            upper=total * 40,
            upper_status="certified",
            upper_source="product of layer norms",
            assumptions=["evaluation mode", "zero padding"],
            floor=7.25,
        ),
        Bracket(
            name="measurement to image",
            case=names[0] if names else None,
            lower=11.2,
            lower_source="worst-case search",
            upper=total * 40,
            upper_status="certified",
            upper_source="network bound times norm of the pseudo-inverse",
        ),
        Bracket(
            name="network alone, with scaling",
            case=None,
            lower=5.0,
            lower_source="Jacobian norm",
            upper=math.inf,
            upper_status="infinite",
            upper_source="division by the maximum",
        ),
    ]
    bounds = [
        BoundRow(name="product of the layers", upper=total * 40, status="certified", note="multiplied", seconds=0.25),
        BoundRow(name="loop transformation", upper=None, status="unknown", note="does not apply: <b>fft</b>", seconds=0.0),
        BoundRow(name="semidefinite per frequency", upper=total * 4, status="certified", note="checked", seconds=301.5),
    ]
    return LipschitzSection(
        layers=layers,
        brackets=brackets,
        notes=["Skip connections add their norms."],
        bounds=bounds,
        normalised=[NormalisedRow(layer="down.2.conv", product=total * 21.0)],
    )


def findings(criteria):
    by_statistic = {criterion.statistic: criterion for criterion in criteria}
    made = [
        (
            "worst_case",
            "worst_case.relative_change.ratio_to_reference",
            NET,
            2.91,
            (2.52, 3.4),
            "",
            "w.head-002.unet-mri.r0.05",
            "At a radius of 5 % the network changes 2.9 times as much as TV.",
        ),
        (
            "structure",
            "structure.recovery.min",
            NET,
            0.482,
            (0.41, 0.55),
            "",
            None,
            "The faintest identifiable lesion came back with 48 % of its contrast.",
        ),
        (
            "worst_case",
            "worst_case.relative_change.max",
            NET,
            0.443,
            (0.443, None),
            "",
            "w.head-001.unet-mri.r0.05",
            "The largest change found at a radius of 5 % is 44 % of the image.",
        ),
        ("quality", "quality.psnr.median", NET, 31.84, (31.2, 32.4), "dB", None, "Median PSNR on clean data is 31.8 dB."),
        (
            "worst_case",
            "worst_case.amplification_over_noise",
            NET,
            11.9,
            (10.1, None),
            "",
            None,
            "The perturbation found changes the image 12 times as much as noise of its norm.",
        ),
        (
            "sampling",
            "sampling.more_is_poorer",
            NET,
            0.0331,
            (0.021, None),
            "NRMSE",
            None,
            "With all of k-space the image is poorer than at the trained quarter.",
        ),
        (
            "worst_case",
            "worst_case.relative_change.max",
            TV,
            0.158,
            (0.158, None),
            "",
            None,
            "Under the same search TV changes by at most 16 % found.",
        ),
    ]
    found = []
    for test, statistic, method, value, (lower, upper), unit, witness, sentence in made:
        finding = Finding(
            test=test,
            statistic=statistic,
            method=method,
            value=value,
            interval=Interval(lower=lower, upper=upper, level=0.95, method="order statistic"),
            unit=unit,
            n=4,
            valid=True,
            witness=witness,
            sentence=sentence,
        )
        found.append(decide(finding, by_statistic.get(statistic) if method == NET else None))
    return found


def head(size: int, seed: int = 0):
    """Something like a head: nested ellipses."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    tilt = 0.04 * seed

    def ellipse(cx, cy, a, b):
        return (((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 < 1).astype(float)

    image = 0.9 * ellipse(0, 0, 0.72, 0.9) - 0.6 * ellipse(0, 0, 0.66, 0.84) + 0.35 * ellipse(0, 0.02, 0.6, 0.76)
    image -= 0.4 * ellipse(0.15 + tilt, -0.05, 0.1, 0.25) + 0.4 * ellipse(-0.17, -0.05, 0.09, 0.27)
    return image + 0.08 * np.sin(9 * x + 3 * np.sin(6 * y + seed)) * ellipse(0, 0, 0.6, 0.76)


def picture(values, *, section, case, method, role, kind="anatomy", window=None, label="", **more):
    data, low, high = Picture.encode(values)
    window_low, window_high = window or (0.0, 1.0)
    return Picture.model_validate(
        {
            "id": ".".join(part for part in (section, case, method, role, label) if part),
            "section": section,
            "case": case,
            "method": method,
            "role": role,
            "kind": kind,
            "caption": more.pop("caption", f"{method}: {role}"),
            "shape": values.shape,
            "low": low,
            "high": high,
            "window_low": window_low,
            "window_high": window_high,
            "data": data,
            **more,
        }
    )


def pictures(names, size):
    made = []
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    ripple = np.sin(38 * x) * np.exp(-((y - 0.1) ** 2) * 30) + np.exp(-((x - 0.25) ** 2 + (y + 0.2) ** 2) * 60)
    for seed, name in enumerate(names):
        truth = head(size, seed)
        made.append(picture(truth, section="quality", case=name, method="truth", role="truth", caption="Truth"))
        for method, slope in FRAGILITY.items():
            blur = np.sin(25 * x + 11 * y) * QUALITY[method] * 0.5
            clean = truth + blur * (truth > 0.05)
            made.append(picture(clean, section="quality", case=name, method=method, role="clean"))
            if seed < 2:
                made.append(
                    picture(
                        abs(blur), section="quality", case=name, method=method, role="difference", kind="error", window=(0, 0.2)
                    )
                )
            change = 0.09 * slope * ripple * (truth > 0.05)
            here = {"section": "worst_case", "case": name, "method": method, "radius": 0.05, "label": "r0.05"}
            made.append(picture(clean + change, role="perturbed", **here))
            made.append(picture(0.02 * abs(ripple), role="perturbation", kind="error", window=(0, 0.2), **here))
            made.append(picture(abs(change), role="difference", kind="error", window=(0, 0.2), **here))
    for diameter in (5, 12):
        lesion = 0.3 * (((x - 0.1) ** 2 + (y - 0.4) ** 2) < (diameter / size) ** 2)
        common = {"section": "structure", "case": names[0] if names else "none", "label": f"d{diameter}-c0.3-41-52"}
        made.append(
            picture(
                lesion,
                method="truth",
                role="detail",
                kind="signed",
                window=(-0.3, 0.3),
                caption=f"What was put in: lesion of {diameter} px, contrast 0.3",
                **common,
            )
        )
        for method in FRAGILITY:
            made.append(picture(head(size) + 0.7 * lesion, method=method, role="with_detail", **common))
            made.append(
                picture(0.7 * lesion - 0.01, method=method, role="recovered", kind="signed", window=(-0.3, 0.3), **common)
            )
    for method in (NET, TV):
        for count in (2048, 4608, 16384):
            error = 200 * (1 + (method == NET)) / count
            where = {
                "section": "sampling",
                "case": names[0] if names else "none",
                "method": method,
                "count": count,
                "label": f"n{count}",
            }
            made.append(picture(head(size) + error * np.sin(30 * x), role="clean", **where))
            made.append(picture(abs(error * np.sin(30 * x)), role="difference", kind="error", window=(0, 0.2), **where))
    return made
