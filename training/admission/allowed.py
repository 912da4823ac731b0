"""What a network's description may name: Keras' own layers and what they are made of.

Keras builds a network from JSON that names classes and functions. Its ``safe_mode`` was ignored
for ``.h5`` files (GHSA-36rr-ww3j-vrjv), and a name may also point at a function of any module, so
every name is compared with the lists here before Keras sees the file, in both formats alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from training.evaluation.keras2 import MODELS
from webapp.errors import ModelInvalid


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LAYERS: Final = _words(
    """
    InputLayer Identity Dense Conv2D Conv2DTranspose DepthwiseConv2D SeparableConv2D SeparableConv2d
    Convolution2D MaxPooling2D MaxPool2D AveragePooling2D AvgPool2D GlobalAveragePooling2D
    GlobalAvgPool2D GlobalMaxPooling2D GlobalMaxPool2D AdaptiveAveragePooling2D
    AdaptiveMaxPooling2D ZeroPadding2D Cropping2D UpSampling2D Flatten Reshape Permute RepeatVector
    BatchNormalization LayerNormalization GroupNormalization UnitNormalization RMSNormalization
    Normalization Rescaling Resizing CenterCrop Dropout SpatialDropout2D GaussianNoise
    GaussianDropout AlphaDropout ActivityRegularization Activation ReLU LeakyReLU PReLU ELU Softmax
    Add Subtract Multiply Average Maximum Minimum Concatenate Dot Attention AdditiveAttention
    MultiHeadAttention GroupQueryAttention Embedding RandomFlip RandomRotation RandomZoom
    RandomContrast RandomTranslation RandomBrightness RandomCrop
    """
)
# operations of keras.ops that arithmetic between layers leaves in a description
OPERATIONS: Final = _words(
    """
    Add Subtract Multiply Divide TrueDivide Negative Absolute Power Square Sqrt Rsqrt Exp Log Clip
    Maximum Minimum Mean Sum Max Min Var Std Reshape Transpose ExpandDims Squeeze Concatenate Stack
    Flip GetItem Pad Take Repeat Tile Matmul Einsum Cast BroadcastTo Relu Relu6 Sigmoid Softmax
    LogSoftmax Softplus Softsign Silu Gelu Elu Selu LeakyRelu HardSigmoid HardSilu Tanh Normalize
    Resize
    """
)
# plain data inside a description
VALUES: Final = frozenset({"__keras_tensor__", "__tuple__", "__slice__", "__ellipsis__"})
# keras.<module>: whatever Keras defines there is a plain class or function without a file or code
PLAIN_MODULES: Final = frozenset(
    {
        "keras.initializers",
        "keras.regularizers",
        "keras.constraints",
        "keras.activations",
        "keras.dtype_policies",
        "keras.mixed_precision",
    }
)
ACTIVATIONS: Final = _words(
    """
    linear relu relu6 leaky_relu elu selu celu gelu silu swish mish sigmoid hard_sigmoid hard_silu
    hard_swish hard_tanh tanh softmax log_softmax softplus softsign exponential glu squareplus
    """
)
PLAIN_NAMES: Final = _words(
    """
    DTypePolicy Policy GlorotUniform GlorotNormal HeNormal HeUniform LecunNormal LecunUniform
    VarianceScaling RandomNormal RandomUniform TruncatedNormal Zeros Ones Constant Orthogonal
    OrthogonalInitializer Identity L1 L2 L1L2 MaxNorm MinMaxNorm NonNeg UnitNorm SeedGenerator
    """
)
MAX_CONFIG_BYTES: Final = 16_000_000
MAX_DEPTH: Final = 60
MAX_LAYERS: Final = 3_000
LARGEST_NUMBER: Final = 1_000_000
# places where a number is the size of something that Keras makes at once
_SIZES: Final = _words(
    """
    units filters kernel_size input_dim output_dim num_heads key_dim value_dim target_shape size
    batch_shape batch_input_shape input_shape depth_multiplier n padding cropping height width
    """
)


def parse_config(text: str | bytes) -> dict[str, Any]:
    """The description as JSON. Raises :class:`ModelInvalid`."""
    if len(text) > MAX_CONFIG_BYTES:
        raise ModelInvalid(
            f"The network's description has {len(text):,} bytes; expected at most "
            f"{MAX_CONFIG_BYTES:,}.",
            check="description",
        )
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelInvalid(
            f"The network's description is not JSON that can be read: {error}.", check="description"
        ) from error
    if not isinstance(config, dict):
        raise ModelInvalid("The network's description is not an object.", check="description")
    return config


def check_config(config: Mapping[str, Any]) -> int:
    """Refuse a description that names anything that is not on the lists; gives its layer count.

    Raises :class:`ModelInvalid` that names the class and says why it is refused.
    """
    if config.get("class_name") not in MODELS:
        raise _not_allowed(str(config.get("class_name")), "the model itself")
    # what training needs is dropped before loading: optimizers and losses are never built
    counted = _walk({k: v for k, v in config.items() if k != "compile_config"}, "", 0)
    if not counted:
        raise ModelInvalid("The network's description holds no layer.", check="description")
    return counted


def _walk(value: Any, key: str, depth: int) -> int:
    if depth > MAX_DEPTH:
        raise ModelInvalid("The network's description is nested too deeply.", check="description")
    count = 0
    if isinstance(value, Mapping):
        if "class_name" in value:
            count += _check_class(value)
        elif isinstance(value.get("module"), str) and value["module"] not in ("", "keras"):
            raise _not_allowed(value["module"], key)
        for name, inner in value.items():
            count += _walk(inner, str(name), depth + 1)
        if count > MAX_LAYERS:
            raise ModelInvalid(
                f"Expected at most {MAX_LAYERS} layers. Received more.", check="description"
            )
    elif isinstance(value, (list, tuple)):
        for inner in value:
            count += _walk(inner, key, depth + 1)
    elif key in _SIZES and isinstance(value, (int, float)) and abs(value) > LARGEST_NUMBER:
        raise ModelInvalid(
            f"The network's description declares {key} = {value:,}; expected at most "
            f"{LARGEST_NUMBER:,}. It was not built.",
            check="shapes",
        )
    elif key == "activation" and isinstance(value, str) and value not in ACTIVATIONS:
        raise _not_allowed(value, "an activation")
    return count


def _check_class(item: Mapping[str, Any]) -> int:
    """Check one ``{"class_name": ...}``; 1 where it is a layer or operation, else 0."""
    name, module = item.get("class_name"), item.get("module")
    registered = item.get("registered_name")
    if not isinstance(name, str) or not isinstance(module, (str, type(None))):
        raise ModelInvalid("A class in the network's description has no name.", check="layers")
    if name == "function":
        function = item.get("config")
        if function in ACTIVATIONS and module in (None, "builtins", "keras.activations"):
            return 0
        raise _not_allowed(f"{module}.{function}", "a function")
    if registered not in (None, name, "function"):
        raise _not_allowed(str(registered), "a custom object")
    if name in VALUES and module in (None, "builtins"):
        return 0
    if module is None:
        # the older format of .h5 files, and parts of the newer one, leave the module out
        if name in LAYERS or name in MODELS:
            return 1
        if name in PLAIN_NAMES:
            return 0
    elif module in PLAIN_MODULES or (module == "keras" and name in PLAIN_NAMES):
        if name in PLAIN_NAMES or name in ACTIVATIONS:
            return 0
    elif module == "keras.layers" or module.startswith("keras.src.layers."):
        if name in LAYERS:
            return 1
    elif module in ("keras", "keras.models") or module.startswith("keras.src.models."):
        if name in MODELS:
            return 1
    elif module.startswith("keras.src.ops."):
        if name in OPERATIONS:
            return 1
    elif module.startswith(("keras.src.initializers.", "keras.src.regularizers.")) and (
        name in PLAIN_NAMES
    ):
        return 0
    raise _not_allowed(name if module is None else f"{module}.{name}", "a layer")


def _not_allowed(name: str, place: str) -> ModelInvalid:
    short = name[:120]
    if short.rsplit(".", 1)[-1] in ("Lambda", "TFOpLambda", "SlicingOpLambda", "__lambda__"):
        return ModelInvalid(
            f"The network has a {short.rsplit('.', 1)[-1]} layer. Such a layer holds program code "
            "that would run on this server when it is loaded, so it is refused and was not run. "
            "Replace it by Keras' own layers (Rescaling, for example) and save the model again.",
            check="layers",
            name=short,
        )
    where = f" ({place})" if place else ""
    return ModelInvalid(
        f"The network names {short!r}{where}, which is not one of Keras' own layers that may be "
        "loaded here. Custom layers and functions are refused because they run code; rebuild the "
        "network with Keras' own layers and save it again.",
        check="layers",
        name=short,
    )
