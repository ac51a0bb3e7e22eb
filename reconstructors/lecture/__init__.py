"""The networks that M. Unser's lecture on CNNs and their Lipschitz constants takes apart, layer by layer.

M. Unser, lecture notes *Convolutional neural networks for image reconstruction: modules, parametric complexity, stability*. Each
file is one of its examples with the sizes that the lecture gives, so that a bound of `stabtest.bounds` can be held against what is
known of it in closed form. The residual denoiser (``dncnn-denoise`` in the zoo) and the U-Net (``lecture-unet-cells``) come with trained
weights; the others are hand-made, or modules to be trained.
"""
