"""What ranks at a measured fidelity in place of the score that it was measured for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zerocost.base.fidelity import ranked_by
from zerocost.combine.wanted import as_combination, default, tokens


def reduced(wanted: Any, fidelity: object) -> Any:
    """The combination that ranks in place of the wanted proxies at a fidelity: a preset, or a file of a calibration.

    What `fidelity.calibrate` found to rank there replaces that which it was calibrated for, and that only; anything
    else is returned as it is.

    >>> reduced("snip,naswot", "nasbench201")
    'snip,naswot'
    >>> reduced("default", "width=0.5")
    'default'
    """
    found = ranked_by(fidelity)
    if found is None:
        return wanted
    whole = as_combination(wanted)
    if not (whole in (default, tokens) if found.stands_for is None else str(whole) == found.stands_for):
        return wanted
    weights = {name: whole.weights.get(name, 1.0) for name in found.proxies}
    return whole if weights == whole.weights else replace(whole, weights=weights, made={"in_place_of": str(whole)})
