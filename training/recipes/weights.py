"""What goes wrong with pretrained weights."""


class WeightsError(RuntimeError):
    """Pretrained weights are not there; the message says how to get or do without them."""
