"""How strongly tissues attenuate X-rays.

Mass attenuation coefficients and densities: J. H. Hubbell, S. M. Seltzer, "Tables of X-Ray Mass Attenuation
Coefficients", NIST Standard Reference Database 126, table 4 (ICRU-44 compositions) and table 3 (lead). One
effective energy stands for the spectrum: about 35 to 50 keV for extremities at 50 to 70 kVp.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ENERGIES_KEV = (30.0, 40.0, 50.0, 60.0)
_MM_PER_CM = 10.0


@dataclass(frozen=True)
class Material:
    """density_g_per_cm3, and mass attenuation in cm2/g at 30, 40, 50 and 60 keV."""

    density_g_per_cm3: float
    mass_attenuation: tuple[float, float, float, float]

    def per_cm(self, energy_kev: float) -> float:
        """Linear attenuation coefficient in 1/cm, interpolated in log-log as the tables advise."""
        log_mass = np.interp(np.log(energy_kev), np.log(_ENERGIES_KEV), np.log(self.mass_attenuation))
        return float(np.exp(log_mass)) * self.density_g_per_cm3

    def per_mm(self, energy_kev: float) -> float:
        """The same in 1/mm, the unit of all path lengths here."""
        return self.per_cm(energy_kev) / _MM_PER_CM


CORTICAL_BONE = Material(1.92, (1.331, 0.6655, 0.4242, 0.3148))
SOFT_TISSUE = Material(1.06, (0.3790, 0.2688, 0.2264, 0.2048))
ADIPOSE = Material(0.95, (0.3063, 0.2396, 0.2123, 0.1974))
LEAD = Material(11.35, (30.32, 14.36, 8.041, 5.021))
