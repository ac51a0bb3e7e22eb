"""M. Unser's lecture on convolutional neural networks: parameters, denoising, textures, stability and depth."""
