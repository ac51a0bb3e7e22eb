"""Readers of real measurements. Each returns frozen data with notes that say what was done to it."""

from stabtest.data.dicom import patient_numbers
from stabtest.data.images import ImageData, read_image
from stabtest.data.kspace import KSpaceData, read_kspace
from stabtest.data.sinogram import SinogramData, read_data_exchange

__all__ = ["ImageData", "KSpaceData", "SinogramData", "patient_numbers", "read_data_exchange", "read_image", "read_kspace"]
