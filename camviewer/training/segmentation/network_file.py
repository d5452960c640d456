"""The network of masks that learn as bytes: safetensors, with what is needed to draw masks again in its metadata."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save

from camviewer.errors import CheckpointError
from camviewer.training.segmentation.predict import Form
from camviewer.training.segmentation.unet import UNet

FORMAT = "camviewer-masks"
SCHEMA = 1
_LARGEST_HEADER = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class MaskNetwork:
    """A network that draws masks.

    Attributes:
        network: what was trained.
        classes: names of the regions' classes, by index; the network tells them apart where it has several.
        pixels: of its input.
        form: what masks look like.
        record: how it was trained: rounds, pictures, curve.
    """

    network: UNet
    classes: tuple[str, ...]
    pixels: int
    form: Form
    record: dict[str, Any]

    def to_bytes(self) -> bytes:
        """Return it as a safetensors file."""
        network = self.network
        said = {
            "format": FORMAT,
            "schema": str(SCHEMA),
            "classes": json.dumps(list(self.classes)),
            "pixels": str(self.pixels),
            "form": json.dumps(asdict(self.form)),
            "network": json.dumps({"classes": network.classes, "base": network.base, "levels": network.levels}),
            "record": json.dumps(self.record),
        }
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
        return save(state, metadata=said)

    @classmethod
    def from_bytes(cls, data: bytes, *, name: str = "The network") -> MaskNetwork:
        """Return the network of `to_bytes`.

        Args:
            name: for the message.

        Raises:
            CheckpointError: when the bytes are damaged or hold another kind of network.
        """
        try:
            said = _metadata(data)
            if said.get("format") != FORMAT:
                raise CheckpointError(f"{name} holds no network that draws masks. Choose one that learn-masks wrote.")
            if int(said["schema"]) > SCHEMA:
                raise CheckpointError(f"{name} was written by a newer camviewer. Update camviewer.")
            shape = {key: int(value) for key, value in json.loads(said["network"]).items()}
            if not (1 <= shape["classes"] <= 4096 and 1 <= shape["base"] <= 256 and 1 <= shape["levels"] <= 8):
                raise ValueError(f"a network of {shape}")
            network = UNet(shape["classes"], base=shape["base"], levels=shape["levels"])
            network.load_state_dict(load(data))
            form = json.loads(said["form"])
            return cls(
                network.eval(),
                tuple(str(text) for text in json.loads(said["classes"])),
                int(said["pixels"]),
                Form(bool(form["single"]), bool(form["solid"])),
                dict(json.loads(said["record"])),
            )
        except CheckpointError:
            raise
        except (ValueError, KeyError, TypeError, RuntimeError, AttributeError, struct.error, SafetensorError) as error:
            raise CheckpointError(
                f"{name} is damaged. Learn the masks again to make a new one.", details=repr(error)
            ) from error


def _metadata(data: bytes) -> dict[str, str]:
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(_LARGEST_HEADER, len(data) - 8):
        raise ValueError(f"a header of {length} bytes")
    return dict(json.loads(data[8 : 8 + length]).get("__metadata__") or {})
