"""Standing text of the report: its statement, hazards, glossary and references.

Wording rules: a search reports "no violation found within the stated budget" and nothing stronger; the report names no item
harmless, and uses the word for a guaranteed bound only as the status of a Lipschitz constant.
"""

from __future__ import annotations

from collections.abc import Mapping

STATEMENT = "Supplementary robustness evidence; does not establish safety, effectiveness or regulatory compliance."

HAZARDS: tuple[tuple[str, str, str, str], ...] = (
    (
        "A small disturbance of the measurement (noise, motion, gain) grows into an artefact that resembles or hides anatomy",
        "Worst-case search in a ball of perturbations, beside Gaussian noise of the same norm and a reference method",
        "worst_case",
        "worst-case",
    ),
    (
        "A small lesion that the data carry is missing from the image, or fainter than it is",
        "A detail is put into the object; its contrast recovery is measured",
        "structure",
        "structure",
    ),
    (
        "A lesion that the data carry is missed at one place, of one size or height, that no list of places had",
        "Search for the lesion that comes back least over the whole body, beside a reference searched by itself",
        "missed_lesion",
        "missed-lesion",
    ),
    (
        "A structure appears in the image that is not in the object",
        "Energy outside the inserted detail; share of the detail that the scanner cannot see",
        "structure",
        "null-space",
    ),
    (
        "More or fewer samples than in training give a poorer image without warning",
        "Sweep over nested sampling patterns or view counts with the network unchanged",
        "sampling",
        "sampling",
    ),
    (
        "More noise or a lower dose than in training makes the image wrong in a way that does not look like noise",
        "Error, bias and spread against the level of the noise, beside a reference method",
        "noise",
        "noise",
    ),
    (
        "The same measurement does not give the same image again",
        "Repeated call, neighbours in a batch, seed, threads, precision, device",
        "repeatability",
        "shift",
    ),
    (
        "Faint edges come back less sharp than strong ones, and the sharpness of the image promises more than there is for a faint lesion",
        "Task transfer function at several contrasts; noise power, uniformity and bias",
        "image_quality",
        "image-quality",
    ),
    (
        "The patient lies otherwise, is another one, or the scan is not quite what the method is told, and the image is wrong without warning",
        "Changes of the object and errors of the scan, a searched worst one, beside the direct linear reconstruction",
        "shift",
        "distribution-shift",
    ),
    (
        "A faint lesion is in the data and cannot be told in the image, or needs more contrast than with a reference method",
        "Observers on images of fresh noise with and without the lesion, threshold contrasts beside a reference method",
        "detectability",
        "detectability",
    ),
    (
        "Structure is shown that neither the data nor the object have, where the scanner sees nothing",
        "Errors and hallucinations in the null space; searched details that the data barely tell apart",
        "kernel",
        "kernel",
    ),
    (
        "The amplification of disturbances has no known ceiling",
        "Lipschitz bracket: gain found below, layer-by-layer bound above",
        "lipschitz",
        "lipschitz",
    ),
    (
        "A method resists perturbations because it shows little of the object at all",
        "Accuracy on the clean measurement, beside a direct linear and a reference reconstruction",
        "quality",
        "quality",
    ),
)

GLOSSARY: tuple[tuple[str, str], ...] = (
    ("Measurement y", "What the scanner recorded: k-space samples (MRI) or the sinogram (CT)."),
    ("Forward model A", "The linear map from an image to its noise-free measurement."),
    ("Reconstruction f(y)", "The image that a method makes of a measurement."),
    (
        "Perturbation e",
        "A small change added to the measurement. Its relative radius is ‖e‖/‖y‖ in the measurement domain and ‖r‖/‖x‖ in the "
        "image domain, where e = A r. ‖·‖ is the Euclidean norm; max |e| is the largest modulus of a sample.",
    ),
    ("Relative change", "‖f(y+e) − f(y)‖ / ‖f(y)‖: how much the image changed."),
    ("Relative error", "‖f(y+e) − x‖ / ‖x‖ with the truth x: how wrong the image is. Without perturbation: clean error."),
    ("Gain", "‖f(y+e) − f(y)‖ / ‖e‖: amplification of the perturbation."),
    (
        "Local damage",
        "Largest value of the smoothed magnitude of the change, relative to the largest value of the clean image: damage in "
        "one place that a norm over the whole image can hide.",
    ),
    ("Found", "The largest value that a search reached within its stated budget. The true worst case is at least this."),
    ("Guaranteed", "A bound derived from the structure of the network. The true worst case is at most this."),
    ("Witness", "A stored perturbation that reproduces a finding; its norm is recomputed in double precision."),
    ("Contrast recovery", "1: the detail came back with its full contrast. 0: nothing of it. Negative: inverted."),
    (
        "Bias, spread",
        "Error of the mean image over draws of noise; root of the variance over draws, summed over the pixels. Relative to ‖x‖.",
    ),
    ("Sham recovery", "The same statistic where nothing was put in and only the noise differs: what noise alone gives."),
    ("Detectability d′", "‖A h‖/σ: how visible the detail h is in the raw data to an ideal observer."),
    (
        "AUC, threshold contrast",
        "AUC: share of pairs (one image with the lesion, one without) that an observer puts in the right order; 0.5 is guessing, 1 is never "
        "wrong. Threshold contrast: where it is 0.75.",
    ),
    (
        "Observer",
        "A rule that gives each image a score, knowing lesion and place. Fixed template: what a perfect image shows of the lesion. Channelised "
        "Hotelling: trained on images of the method with noise of their own.",
    ),
    (
        "Null space, hallucination",
        "Null space: changes of the image that leave the measurement as it is. Hallucinated: what a method shows there and the object does not have.",
    ),
    ("Null-space share", "‖P_N h‖/‖h‖: the part of the detail that the measurement does not contain."),
    (
        "Task transfer function, f50, f10",
        "How much of each spatial frequency comes back at an edge of one contrast in the noise of the scan, 1 at frequency 0; where it falls "
        "to a half and to a tenth, in cycles per pixel. 0.5 is the Nyquist frequency, the finest that the pixels can show.",
    ),
    (
        "Noise power spectrum",
        "How the variance of the noise is spread over spatial frequencies; its integral is the variance. Low frequencies: blotches.",
    ),
    (
        "Excess, defect, misfit",
        "Excess: the change of the NRMSE under a shift less that of the direct linear reconstruction. Defect: ‖f(y′) − T f(y)‖ / ‖f(y)‖ for "
        "the shift T; no method has 0 where the scan itself does not commute with T. Misfit: what the object does not explain of the "
        "measurement, over the noise; near 1 it is noise alone.",
    ),
    ("NRMSE, PSNR, SSIM", "Normalised root-mean-square error, peak signal-to-noise ratio in dB, structural similarity."),
    ("Lipschitz constant", "The largest gain between any two inputs; local: on a neighbourhood of one input."),
    (
        "Decision rule",
        "PASS: the one-sided bound of the estimate is within the limit. FAIL: the bound is beyond the limit, or one re-verified "
        "counterexample breaks a universal criterion. INCONCLUSIVE: neither. INVALID: a validity gate failed. NOT RUN: nothing "
        "was measured. REPORTED, NO VERDICT: no criterion was set.",
    ),
    (
        "Universal criterion",
        "A claim about every admissible perturbation. A search can refute it; where it does not, the result is “no violation "
        "found within the stated budget”, which is INCONCLUSIVE.",
    ),
)

REFERENCES: tuple[str, ...] = (
    "V. Antun, F. Renna, C. Poon, B. Adcock, A. C. Hansen, On instabilities of deep learning in image reconstruction and the "
    "potential costs of AI, PNAS 117 (48), 30088–30095, 2020.",
    "M. Genzel, J. Macdonald, M. März, Solving inverse problems with deep neural networks: robustness included?, IEEE "
    "Transactions on Pattern Analysis and Machine Intelligence 45 (1), 1119–1134, 2023.",
    "K. Cheng, F. Caliva, R. Shah, M. Han, S. Majumdar, V. Pedoia, Addressing the false negative problem of deep learning MRI reconstruction "
    "models by adversarial attacks and robust training, MIDL 2020, PMLR 121, 121–135.",
    "S. Richard, D. B. Husarik, G. Yadava, S. N. Murphy, E. Samei, Towards task-based assessment of CT performance, Medical "
    "Physics 39 (7), 4115–4122, 2012.",
    "E. Samei et al., Performance evaluation of computed tomography systems: summary of AAPM Task Group 233, Medical Physics 46 (11), "
    "e735–e756, 2019 (no conformance is claimed).",
    "H. H. Barrett, K. J. Myers, Foundations of Image Science, Wiley, 2004 (ideal observer, detectability).",
    "FDA, Recommended Content and Format of Non-Clinical Bench Performance Testing Information in Premarket Submissions, "
    "2019 (model for the order of the sections; no conformance is claimed).",
    "ISO/IEC 24029-2:2023, Assessment of the robustness of neural networks, part 2 (terms; no conformance is claimed).",
    "ILAC-G8:09/2019, Guidelines on decision rules and statements of conformity (terms; no conformance is claimed).",
)

GRADIENTS: Mapping[str, str] = {
    "stochastic": "the same measurement gave another image each time (dropout left on, batch normalisation in training mode, random "
    "numbers), so that a change of the image need not come from the perturbation",
    "disconnected": "the image follows the measurement, but the program hands no derivative back (detach, NumPy, argmax or rounding "
    "on the way), so that the search could not tell in which direction the damage grows",
    "masked": "a part of the measured samples had no derivative although the image depends on them, so that the search left them alone",
    "wrong": "the derivative that the program hands back is not that of its image (a detached branch, a straight-through estimator, "
    "a clipped gradient, jumps), so that the search was led astray",
    "rough": "the derivative is that of the image over very short steps only, because the image has kinks at every scale (hundreds of steps of a "
    "solver), so that an ascent sees little further than where it stands",
    "zero": "neither the derivative nor what was to be made large moved where it was examined",
    "not finite": "the image or its derivative held infinities or NaN (no numbers) where it was examined",
}
"""What each name of an unusable gradient means (`stabtest.search.health`), for a reader who does not program."""

EXPLORATORY = "The criteria came after results were known: the verdicts are exploratory. See the deviations in section 15."

ROLES_TO_SIGN = ("Author", "Reviewer", "Approver")
