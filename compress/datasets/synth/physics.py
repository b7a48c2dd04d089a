"""From path lengths to what the detector counts: Beer-Lambert, scatter, quanta, blur.

Follows the usual model of projection radiography (J. T. Bushberg et al., The Essential Physics of Medical
Imaging): primary by Beer-Lambert at one effective energy, scatter as a wide blur of the primary where it met
matter, Poisson noise of the absorbed quanta, then the light spread of the detector and electronic noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from compress.datasets.synth.geometry import Floats
from compress.datasets.synth.materials import ADIPOSE, CORTICAL_BONE, SOFT_TISSUE
from compress.datasets.synth.projection import Paths

_SCATTER_GRID = 8  # scatter is so smooth that an eighth of the resolution is enough


@dataclass(frozen=True)
class Exposure:
    """One exposure.

    energy_kev: effective. quanta: absorbed per pixel of the open field. scatter_to_primary: behind matter of
    optical depth 1. scatter_reach_mm: sigma of its blur. detector_blur_px: sigma of the light spread.
    electronic: noise in quanta. heel: relative fall of the intensity over the plate, along `heel_deg`.
    """

    energy_kev: float = 42.0
    quanta: float = 4000.0
    scatter_to_primary: float = 0.35
    scatter_reach_mm: float = 25.0
    detector_blur_px: float = 0.6
    electronic: float = 4.0
    heel: float = 0.0
    heel_deg: float = 0.0


def optical_depth(paths: Paths, energy_kev: float) -> Floats:
    """(H, W) line integral of the attenuation; bone displaces soft tissue, marrow attenuates like fat."""
    mineral = np.minimum(paths.solid_bone + paths.spongy, paths.bone)
    flesh = np.maximum(paths.tissue - paths.bone, 0)
    fat = np.minimum(paths.fat, flesh)
    return np.asarray(
        np.float32(CORTICAL_BONE.per_mm(energy_kev)) * mineral
        + np.float32(ADIPOSE.per_mm(energy_kev)) * (paths.bone - mineral + fat)
        + np.float32(SOFT_TISSUE.per_mm(energy_kev)) * (flesh - fat)
    )


def transmit(depth: Floats) -> Floats:
    """Share of the quanta that pass unscattered (Beer-Lambert)."""
    return np.asarray(np.exp(-depth))


def add_scatter(primary: Floats, depth: Floats, exposure: Exposure, pitch_mm: float) -> Floats:
    """Primary plus single scatter, whose source is the primary times the matter it met, spread widely."""
    height, width = primary.shape
    grid = (max(width // _SCATTER_GRID, 1), max(height // _SCATTER_GRID, 1))
    source = cv2.resize(primary * depth, grid, interpolation=cv2.INTER_AREA)
    sigma = exposure.scatter_reach_mm / pitch_mm / _SCATTER_GRID
    wide = cv2.GaussianBlur(source, (0, 0), max(sigma, 0.3), borderType=cv2.BORDER_REPLICATE)
    scatter = cv2.resize(wide, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(primary + np.float32(exposure.scatter_to_primary) * scatter)


def detect(intensity: Floats, exposure: Exposure, rng: np.random.Generator) -> Floats:
    """(H, W) quanta counted per pixel, for an intensity of 1 in the open field."""
    mean = np.maximum(intensity, 0) * np.float32(exposure.quanta)
    counted = rng.poisson(mean).astype(np.float32)
    if exposure.detector_blur_px > 0:
        counted = cv2.GaussianBlur(counted, (0, 0), exposure.detector_blur_px)
    noise = rng.standard_normal(counted.shape, np.float32) * np.float32(exposure.electronic)
    return np.asarray(counted + noise)


def heel_profile(shape: tuple[int, int], exposure: Exposure) -> Floats:
    """(H, W) relative intensity of the open field: the anode's side is weaker."""
    y, x = np.mgrid[-0.5 : 0.5 : shape[0] * 1j, -0.5 : 0.5 : shape[1] * 1j].astype(np.float32)
    angle = np.deg2rad(exposure.heel_deg)
    return np.asarray(
        1 - np.float32(exposure.heel) * (x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)))
    )
