"""From a request to a classifier."""

from __future__ import annotations

import torch
import torchvision

from camviewer.catalogue.architectures import architecture
from camviewer.models.classifier import Classifier, choose_device, set_precision
from camviewer.models.records import LoadRequest, ModelIdentity, Preprocessing


def load_classifier(request: LoadRequest) -> Classifier:
    spec = architecture(request.model or "resnet18")
    set_precision(request.precision)
    torch.manual_seed(request.seed)
    network = torchvision.models.get_model(spec.name, weights=None)
    if request.weights:
        network.load_state_dict(torch.load(request.weights, weights_only=True))
    side = request.input_size or spec.input_size
    return Classifier(
        network,
        identity=ModelIdentity(spec.name, "random", "", ()),
        preprocessing=Preprocessing(input_size=(side, side), resize_mode=request.resize_mode),
        device=choose_device(request.device),
    )
