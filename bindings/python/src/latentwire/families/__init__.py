"""Families of entropy models:

each runs the networks of a model and codes a latent part by part. docs/families.md has the networks of each.

    from latentwire.families import HyperModel, mean_scale

    model = HyperModel(prior=bundle.factorized(codec, "entropy_bottleneck"), h_a=net.h_a, h_s=net.h_s)
    encoded = mean_scale.encode(codec, model, y, guard=1e-5)
    y_hat = mean_scale.decode(codec, model, encoded.packet)

The packets are those of `latentwire/onnx` in JavaScript, byte for byte.
"""

from .context import (
    AutoregressiveModel,
    ChannelGroupsModel,
    CheckerboardModel,
    ElicGroup,
    ElicModel,
    autoregressive,
    channel_groups,
    checkerboard,
    elic,
)
from .hyperprior import (
    FactorizedModel,
    GainModel,
    MixtureModel,
    RecursiveModel,
    factorized,
    gain,
    mean_scale,
    mixture,
    recursive,
    scale,
)
from .network import HyperModel, on_torch
from .variable_rate import VariableRateModel, variable_rate
from .wire import Encoded, Family

__all__ = [
    "AutoregressiveModel",
    "ChannelGroupsModel",
    "CheckerboardModel",
    "ElicGroup",
    "ElicModel",
    "Encoded",
    "FactorizedModel",
    "Family",
    "GainModel",
    "HyperModel",
    "MixtureModel",
    "RecursiveModel",
    "VariableRateModel",
    "autoregressive",
    "channel_groups",
    "checkerboard",
    "elic",
    "factorized",
    "gain",
    "mean_scale",
    "mixture",
    "on_torch",
    "recursive",
    "scale",
    "variable_rate",
]
