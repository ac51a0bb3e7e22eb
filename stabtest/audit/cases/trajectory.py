"""Non-Cartesian scans of a configuration: readouts, their operator, and the same object with fewer or more of them.

More readouts are a superset of fewer, the noise of common ones being the same, since it is drawn from a seed that depends on nothing but the
readout's place:

- spokes at equal angles and interleaves: numbers of which each divides the next, as of the views in CT;
- spokes at the golden angle: any numbers, the first ones being those of a shorter scan (Winkelmann et al., IEEE TMI 26, 2007);
- of a file: numbers that divide its number of readouts, equally spaced in the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stabtest import phantoms
from stabtest.audit.cases.scans import check_nested
from stabtest.audit.cases.trajectory_file import read_density, read_trajectory
from stabtest.audit.config import Config
from stabtest.audit.config.settings.trajectory import TrajectorySection
from stabtest.audit.fingerprint import file_sha256
from stabtest.errors import ConfigError
from stabtest.operators import NonCartesian, spiral, spokes
from stabtest.stability.cases import Resampled

SPOKES, INTERLEAVES = 50, 4
"""How many readouts there are if the configuration does not say."""


@dataclass(frozen=True, eq=False)
class Readouts:
    """Some readouts of a trajectory.

    Parameters
    ----------
    points
        Radians per pixel, float64 ``(R, S, 2)``.
    places
        Two whole numbers for each readout, the same in every set that holds it.
    weights
        Density compensation ``(R, S)``, or None where it is computed.
    """

    points: Tensor
    places: tuple[tuple[int, int], ...]
    weights: Tensor | None


def trajectory_files(config: Config) -> list[str]:
    """The files that the trajectory is read from, as the configuration names them; none where the scan has no trajectory."""
    section = config.operator.trajectory
    named = (section.file, section.density_file) if config.operator.has_trajectory else ()
    return [name for name in named if name is not None]


def readouts(config: Config, count: int | None = None) -> Readouts:
    """The readouts of a configuration.

    Parameters
    ----------
    config
        Of a non-Cartesian scan.
    count
        Fewer or more than the network was trained for; None: as many.

    Raises
    ------
    DataError, OperatorError, ConfigError
        If they cannot be read or made, or a file has no such number of them.
    """
    section, shape = config.operator.trajectory, config.operator.shape
    files = tuple(str(config.path(name)) for name in trajectory_files(config))
    return _readouts(section, files, shape, count)


def _readouts(section: TrajectorySection, files: tuple[str, ...], shape: tuple[int, int], count: int | None) -> Readouts:
    weights = None
    if section.file is not None:
        whole = read_trajectory(Path(files[0]), shape, units=section.units)
        total = len(whole)
        number = total if count is None else count
        if number < 1 or total % number:
            raise _no_such_number(total, str(number))
        chosen = torch.arange(0, total, total // number)
        points, places = whole[chosen], tuple((index, 0) for index in chosen.tolist())
        if section.density_file is not None:
            weights = read_density(Path(files[-1]), total, whole.shape[1])[chosen]
    else:
        number = _drawn(section) if count is None else count
        turn_over = math.ceil(math.pi * max(shape) * section.turns)  # one a pixel along the outermost turn
        samples = section.samples or (turn_over if section.kind == "spiral" else max(shape))
        if section.kind == "spiral":
            flat = spiral(number, samples, turns=section.turns)
        else:
            flat = spokes(number, samples, golden=section.kind == "radial-golden")
        points = flat.unflatten(0, (number, samples))
        angles = [Fraction(index, number) for index in range(number)]
        golden = section.kind == "radial-golden"
        places = tuple((index, 0) if golden else (a.numerator, a.denominator) for index, a in enumerate(angles))
    if weights is None and section.density == "none":
        weights = torch.ones(points.shape[:2], dtype=torch.float64)
    return Readouts(points, places, weights)


def _drawn(section: TrajectorySection) -> int:
    return section.readouts or (INTERLEAVES if section.kind == "spiral" else SPOKES)


def _no_such_number(total: int, came: str) -> ConfigError:
    return ConfigError(
        "[sampling] readouts",
        expected=f"numbers that divide the {total} readouts of the trajectory's file",
        came=came,
        remedy="a file of shape (readouts, samples, 2) with more readouts" if total == 1 else "other numbers, or none",
    )


def readout_levels(config: Config) -> tuple[int, ...]:
    """Numbers of readouts that the sampling sweep measures at, the trained one among them; empty where there is no other.

    Raises
    ------
    StabtestError
        If the trajectory cannot be had, or numbers are not nested.
    """
    section, given = config.operator.trajectory, config.sampling.readouts
    trained = len(readouts(config).places)
    if section.file is not None:
        if any(trained % number for number in given):
            raise _no_such_number(trained, ", ".join(map(str, given)))
        given = given or ((trained // 2,) if trained % 2 == 0 else ())
    elif section.kind == "radial-golden":
        given = given or (max(trained // 2, 1), 2 * trained)
    else:
        given = given or ((trained // 2, 2 * trained) if trained % 2 == 0 else (2 * trained,))
    levels = tuple(sorted({*given, trained}))
    if len(levels) < 2:
        return ()
    return levels if section.kind == "radial-golden" and section.file is None else check_nested(levels, "[sampling] readouts")


def noncartesian(config: Config, *, coil_seed: int, count: int | None = None) -> NonCartesian:
    """The forward model of a non-Cartesian scan; one object for the same question, since its density compensation takes a while.

    Parameters
    ----------
    config
        Which.
    coil_seed
        Of simulated coil maps.
    count
        As for `readouts`.

    Raises
    ------
    StabtestError
        If it cannot be had.
    """
    section = config.operator
    files = tuple((str(config.path(name)), file_sha256(config.path(name))) for name in trajectory_files(config))
    coils = section.coils if section.has_coils else 0
    return _made(section.trajectory.model_dump_json(exclude_unset=True), files, section.shape, coils, coil_seed, count)


@lru_cache(maxsize=8)
def _made(
    trajectory: str,
    files: tuple[tuple[str, str], ...],
    shape: tuple[int, int],
    coils: int,
    coil_seed: int,
    count: int | None,
) -> NonCartesian:
    section = TrajectorySection.model_validate_json(trajectory)
    found = _readouts(section, tuple(path for path, _ in files), shape, count)
    maps = phantoms.coil_maps(shape[0], coils, seed=coil_seed) if coils else None
    weights = None if found.weights is None else found.weights.flatten()
    return NonCartesian(found.points.flatten(0, 1), shape, maps, weights=weights)


def trajectory_words(config: Config) -> dict[str, str | int | float]:
    """What the report says about the trajectory beside the operator's own description.

    Raises
    ------
    StabtestError
        If it cannot be had.
    """
    section = config.operator.trajectory
    count, samples, _ = readouts(config).points.shape
    if section.file is not None:
        return {"trajectory": "from a file", "readouts": count, "samples of a readout": samples}
    kinds = {
        "radial": "radial, equal angles",
        "radial-golden": "radial, golden angle",
        "spiral": f"spiral, {section.turns:g} turns",
    }
    return {"trajectory": kinds[section.kind], section.words: count, "samples of a readout": samples}


@dataclass(frozen=True, eq=False)
class ReadoutScan:
    """An object that can be measured with fewer or more readouts.

    Parameters
    ----------
    trained
        Number of readouts that the network is made for.
    made
        The readouts of a number, and their operator.
    project
        The noise-free samples ``(1, C, M)`` of an operator.
    noise_std
        Standard deviation of the complex noise on each sample.
    seed
        Of the noise.
    """

    trained: int
    made: Callable[[int], tuple[Readouts, NonCartesian]]
    project: Callable[[NonCartesian], Tensor]
    noise_std: float
    seed: int

    def __call__(self, count: float) -> Resampled:
        """The measurement with a number of readouts.

        Raises
        ------
        StabtestError
            If there is no such number.
        """
        number = int(count)
        found, operator = self.made(number)
        clean = self.project(operator)
        noise = readout_noise(found.places, operator.range.shape[0], found.points.shape[1], seed=self.seed).to(clean)
        y = clean + self.noise_std * noise
        return Resampled(operator, y, count=number, fraction=number / self.trained, trained=number == self.trained)


def readout_noise(places: tuple[tuple[int, int], ...], coils: int, samples: int, *, seed: int) -> Tensor:
    """Complex standard normal noise ``(1, coils, readouts * samples)``, a function of each readout's place.

    Examples
    --------
    >>> few, many = (readout_noise(p, 2, 3, seed=1) for p in ([(0, 1)], [(0, 1), (1, 2)]))
    >>> torch.equal(few, many[..., :3]), many.shape
    (True, torch.Size([1, 2, 6]))
    """
    rows = np.empty((len(places), coils, samples, 2), dtype=np.float32)
    for row, place in zip(rows, places, strict=True):
        generator = np.random.Generator(np.random.PCG64([seed, *place]))
        row[:] = generator.standard_normal(row.shape, dtype=np.float32)
    drawn = torch.view_as_complex(torch.from_numpy(rows / np.float32(math.sqrt(2))))
    return drawn.movedim(0, 1).flatten(1)[None]
