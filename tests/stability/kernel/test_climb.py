import math

import pytest
import torch

from stabtest import tensors
from stabtest.errors import ConfigError, DataError
from stabtest.operators import Radon
from stabtest.stability.cases import Method
from stabtest.stability.kernel import BumpDetail, Ellipsoid, FreeDetail, search_detail, transfer_bound
from stabtest.stability.null_space import split


def family_of(case, kind=FreeDetail, *, size=0.2, data=0.01):
    shape = Ellipsoid(
        case.operator, size=size * float(tensors.norm(case.truth)), data=data * float(tensors.norm(case.measurement))
    )
    return kind(shape)


def search(method, case, family, base=None, *, seed=0, build, **options):
    image = case.truth if base is None else base
    return search_detail(method, case.operator, case.measurement, image, family, generator=build.generator(seed), **options)


def own(method, case):
    return method(case.measurement, case.operator)


def test_the_search_finds_a_known_maximum(build):
    """The largest bound about its own image is its Lipschitz constant sqrt(1 + kappa^2), in a hidden pair of directions."""
    for seed in range(3):
        case = build.head_case(seed)
        method, _, _ = build.hallucinator(case, 10.0)
        found = search(method, case, family_of(case), own(method, case), seed=seed, build=build, objective="bound")
        assert 0.99 * math.sqrt(101) < found.found.bound <= math.sqrt(101) * (1 + 1e-9)


def test_a_hallucinator_is_caught_about_the_truth(build):
    for seed in range(3):
        case = build.head_case(seed, std=1e-4)
        method, _, _ = build.hallucinator(case, 20.0)
        found = search(method, case, family_of(case), seed=seed, build=build).found
        assert found.kernel_aware is False
        assert found.bound > 10
        assert found.bound > 100 * found.ceiling


def test_a_memory_of_stored_images_is_caught(build):
    """The image returned is the stored one nearest in the data (softly): two stored images hardly differ in the data."""
    case = build.head_case(std=1e-5)
    operator, size = case.operator, float(tensors.norm(case.truth))
    away = split(operator, build.random_image(operator, 5))
    detail = 0.1 * size * away.null / tensors.norm(away.null) + 1e-3 * size * away.measured / tensors.norm(away.measured)
    store = torch.cat([case.truth, case.truth + detail])
    data, far = operator.forward(store), float(tensors.norm(operator.forward(detail)))

    def nearest(y, operator):
        weights = torch.softmax(-(tensors.norm(y - data) ** 2) / (0.4 * far) ** 2, 0)
        return tensors.scale(store, weights).sum(0, keepdim=True)

    method = Method("memory", "under test", nearest)
    found = search(method, case, family_of(case, data=2 * far / float(tensors.norm(case.measurement))), build=build)
    assert found.found.kernel_aware is False
    assert found.found.bound > 0.5 * float(tensors.norm(detail)) / far  # half of what recovering both in full would cost


@pytest.mark.parametrize("kind", [FreeDetail, BumpDetail])
def test_minimum_norm_is_not_caught(build, kind):
    for seed in range(5):  # twenty in the test of the whole
        case, method = build.head_case(seed), build.linear()
        truth = search(method, case, family_of(case, kind), seed=seed, build=build, steps=15, starts=1).found
        assert truth.bound <= 0
        assert truth.kernel_aware is True
        about = search(method, case, family_of(case, kind), own(method, case), seed=seed, build=build, steps=15, starts=1)
        assert about.found.bound <= 1 + 1e-9  # ||A^+|| = 1
        assert about.found.kernel_aware is True


def test_a_mild_hallucinator_hides_from_the_bound_and_not_from_the_excess(build):
    caught = {"bound": 0, "excess": 0}
    for seed in range(3):
        case = build.head_case(seed)
        method, _, _ = build.hallucinator(case, 0.2)
        for objective in caught:
            found = search(method, case, family_of(case), own(method, case), seed=seed, build=build, objective=objective)
            caught[objective] += found.found.kernel_aware is False
    assert caught["excess"] == 3


def test_gradients_find_what_sampling_does_not(build):
    case = build.head_case()
    method, _, _ = build.hallucinator(case, 10.0)
    family, base = family_of(case), own(method, case)
    found = search(method, case, family, base, build=build, objective="bound")
    generator = build.generator(1)
    sampled = max(
        transfer_bound(method, case.operator, case.measurement, base, family.detail(family.start(base, generator))).bound
        for _ in range(found.evaluations)
    )
    assert found.found.bound > 3 * sampled


def test_a_bump_climbs_towards_a_hallucinated_lesion(build):
    """The method shows a lesion at one place in answer to a trace of it: the bump of the search moves there."""
    case = build.head_case(n=32)
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    lesion = torch.exp(-((rows - 20) ** 2 + (columns - 13) ** 2) / 8).to(torch.complex128)[None, None]
    parts = split(case.operator, lesion)
    seen = parts.measured / tensors.norm(parts.measured) ** 2

    def reconstruct(y, A):
        image = A.pseudo_inverse(y)
        return image + tensors.scale(parts.null, tensors.inner(seen.expand_as(image), image))

    method = Method("painter", "under test", reconstruct)
    family = family_of(case, BumpDetail, size=2.0, data=0.05)
    found = search(method, case, family, own(method, case), build=build, steps=60, starts=4, objective="bound").found
    place = divmod(int(found.detail.abs().argmax()), 32)
    assert math.hypot(place[0] - 20, place[1] - 13) < 3
    assert found.kernel_aware is False


def test_the_witness_is_admissible_and_verified_from_scratch(build):
    case = build.head_case()
    method, _, _ = build.hallucinator(case, 10.0)
    family = family_of(case)
    found = search(method, case, family, own(method, case), build=build).found
    assert float(family.ellipsoid.radius(found.detail)) <= 1 + 1e-9
    again = transfer_bound(method, case.operator, case.measurement, own(method, case), found.detail)
    assert again.bound == pytest.approx(found.bound, rel=1e-9)


def test_the_same_seed_finds_the_same(build):
    case = build.head_case()
    method, _, _ = build.hallucinator(case, 3.0)
    one, other = (search(method, case, family_of(case), build=build, steps=10) for _ in range(2))
    assert one.found.bound == other.found.bound
    assert one.history == other.history


def test_evaluations_are_counted(build):
    case, calls = build.head_case(), []

    def counted(y, A):
        calls.append(1)
        return A.pseudo_inverse(y)

    found = search(Method("counted", "under test", counted), case, family_of(case), build=build, steps=7, starts=2)
    assert found.evaluations == len(calls)
    assert found.history[-1][0] <= found.evaluations


def test_a_method_without_gradient_says_so(build):
    case = build.head_case()
    cut = Method("cut", "under test", lambda y, A: A.pseudo_inverse(y).detach())
    assert search(cut, case, family_of(case), build=build, steps=5).status == "no usable gradient"


def test_the_history_never_falls(build):
    case = build.head_case()
    method, _, _ = build.hallucinator(case, 3.0)
    values = [value for _, value in search(method, case, family_of(case), build=build, steps=10).history]
    assert values == sorted(values)


@pytest.mark.parametrize("name", ["several coils", "Radon"])
def test_in_other_scanners_a_hallucinator_stands_out_from_the_direct_method(build, name):
    operator = build.multi_coil(12) if name == "several coils" else Radon(16, 6)
    case = build.head_case(operator=operator)
    method, _, _ = build.hallucinator(case, 20.0)
    options = {"build": build, "steps": 10, "starts": 1}
    bad = search(method, case, family_of(case), own(method, case), **options).found
    good = search(build.linear(), case, family_of(case), own(build.linear(), case), **options).found
    assert bad.bound > 5 * max(good.bound, 0.0)
    assert bad.kernel_aware is not True
    assert good.kernel_aware is not False


def test_nothing_to_do_and_magnitudes_are_refused(build):
    case = build.head_case()
    with pytest.raises(ConfigError, match="one step"):
        search(build.linear(), case, family_of(case), build=build, steps=0)
    magnitude = Method("magnitude", "under test", lambda y, A: A.pseudo_inverse(y).abs())
    with pytest.raises(DataError, match="magnitudes"):
        search(magnitude, case, family_of(case), build=build)
