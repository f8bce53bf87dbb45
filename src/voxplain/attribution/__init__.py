"""Attribution: where and when did the network look in this clip? One method a class, all listed in `ATTRIBUTIONS`."""

from collections.abc import Callable

from voxplain.attribution.gradient import Gradient, InputXGradient
from voxplain.attribution.record import Attribution, AttributionMethod

# Name → a call without arguments that builds the method with its defaults.
ATTRIBUTIONS: dict[str, Callable[[], AttributionMethod]] = {
    "gradient": Gradient,
    "input_x_gradient": InputXGradient,
}

__all__ = ["ATTRIBUTIONS", "Attribution", "AttributionMethod", "Gradient", "InputXGradient"]
