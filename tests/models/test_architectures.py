"""All 80 architectures: the table, the suggested layer, where its cells lie, and the head."""

from __future__ import annotations

import pytest
import torch
import torchvision

from camviewer.catalogue.architectures import ARCHITECTURES, BY_NAME, architecture
from camviewer.errors import LayerError, ModelError
from camviewer.models import architectures
from camviewer.models.classifier import Classifier
from camviewer.models.records import ModelIdentity, Preprocessing

# names: suggested layer, layout, columns, channels, start, step, head
TABLE = """
alexnet: features nchw 6 256 31 32 none
convnext_tiny convnext_small: features nchw 7 768 15.5 32 none
convnext_base: features nchw 7 1024 15.5 32 none
convnext_large: features nchw 7 1536 15.5 32 none
densenet121: features nchw 7 1024 14 32 gap_linear
densenet161: features nchw 7 2208 14 32 gap_linear
densenet169: features nchw 7 1664 14 32 gap_linear
densenet201: features nchw 7 1920 14 32 gap_linear
efficientnet_b0: features nchw 7 1280 0 32 gap_linear
efficientnet_b1: features nchw 8 1280 0 32 gap_linear
efficientnet_b2: features nchw 9 1408 0 32 gap_linear
efficientnet_b3: features nchw 10 1536 0 32 gap_linear
efficientnet_b4: features nchw 12 1792 0 32 gap_linear
efficientnet_b5: features nchw 15 2048 0 32 gap_linear
efficientnet_b6: features nchw 17 2304 0 32 gap_linear
efficientnet_b7: features nchw 19 2560 0 32 gap_linear
efficientnet_v2_s: features nchw 12 1280 0 32 gap_linear
efficientnet_v2_m efficientnet_v2_l: features nchw 15 1280 0 32 gap_linear
googlenet: inception5b nchw 7 1024 22 32 gap_linear
inception_v3: Mixed_7c nchw 8 2048 37 32 gap_linear
maxvit_t: blocks.3 nchw 7 512 0 32 none
mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3: layers nchw 7 1280 0 32 gap_linear
mobilenet_v2: features nchw 7 1280 0 32 gap_linear
mobilenet_v3_large: features nchw 7 960 0 32 none
mobilenet_v3_small: features nchw 7 576 0 32 none
regnet_x_400mf: trunk_output nchw 7 400 0 32 gap_linear
regnet_x_800mf: trunk_output nchw 7 672 0 32 gap_linear
regnet_x_1_6gf: trunk_output nchw 7 912 0 32 gap_linear
regnet_x_3_2gf: trunk_output nchw 7 1008 0 32 gap_linear
regnet_x_8gf: trunk_output nchw 7 1920 0 32 gap_linear
regnet_x_16gf: trunk_output nchw 7 2048 0 32 gap_linear
regnet_x_32gf: trunk_output nchw 7 2520 0 32 gap_linear
regnet_y_400mf: trunk_output nchw 7 440 0 32 gap_linear
regnet_y_800mf: trunk_output nchw 7 784 0 32 gap_linear
regnet_y_1_6gf: trunk_output nchw 7 888 0 32 gap_linear
regnet_y_3_2gf: trunk_output nchw 7 1512 0 32 gap_linear
regnet_y_8gf: trunk_output nchw 7 2016 0 32 gap_linear
regnet_y_16gf: trunk_output nchw 7 3024 0 32 gap_linear
regnet_y_32gf: trunk_output nchw 7 3712 0 32 gap_linear
regnet_y_128gf: trunk_output nchw 12 7392 0 32 gap_linear
resnet18 resnet34: layer4 nchw 7 512 0 32 gap_linear
resnet50 resnet101 resnet152: layer4 nchw 7 2048 0 32 gap_linear
resnext50_32x4d resnext101_32x8d resnext101_64x4d: layer4 nchw 7 2048 0 32 gap_linear
wide_resnet50_2 wide_resnet101_2: layer4 nchw 7 2048 0 32 gap_linear
shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5: conv5 nchw 7 1024 0 32 gap_linear
shufflenet_v2_x2_0: conv5 nchw 7 2048 0 32 gap_linear
squeezenet1_0: features nchw 13 512 17 16 conv_gap
squeezenet1_1: features nchw 13 512 15 16 conv_gap
swin_t swin_s: norm nhwc 7 768 15.5 32 gap_linear
swin_b: norm nhwc 7 1024 15.5 32 gap_linear
swin_v2_t swin_v2_s: norm nhwc 8 768 15.5 32 gap_linear
swin_v2_b: norm nhwc 8 1024 15.5 32 gap_linear
vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn: features nchw 7 512 15.5 32 none
vit_b_16: encoder.layers.encoder_layer_11.ln_1 tokens 14 768 7.5 16 none
vit_b_32: encoder.layers.encoder_layer_11.ln_1 tokens 7 768 15.5 32 none
vit_l_16: encoder.layers.encoder_layer_23.ln_1 tokens 14 1024 7.5 16 none
vit_l_32: encoder.layers.encoder_layer_23.ln_1 tokens 7 1024 15.5 32 none
vit_h_14: encoder.layers.encoder_layer_31.ln_1 tokens 37 1280 6.5 14 none
"""
ROWS = {
    name: row.split() for names, row in (r.split(": ") for r in TABLE.strip().splitlines()) for name in names.split()
}
QUICK = set(
    """
    alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5
    mobilenet_v2 mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18 resnet50 resnext50_32x4d
    shufflenet_v2_x0_5 squeezenet1_0 squeezenet1_1 swin_t swin_v2_t vgg11 vgg11_bn vit_b_32
    """.split()  # noqa: SIM905
)


def classifier(name: str) -> Classifier:
    spec = BY_NAME[name]
    network = architectures.build(name, architectures.Plan(outputs=7))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Linear) or (
                isinstance(module, torch.nn.Conv2d) and module.out_channels == 7
            ):
                module.weight.normal_(generator=generator)
    return Classifier(
        network,
        identity=ModelIdentity(name, "random", "", ()),
        preprocessing=Preprocessing(input_size=(spec.input_size, spec.input_size)),
    )


def test_the_table_is_torchvisions() -> None:
    names = torchvision.models.list_models(module=torchvision.models)
    assert {spec.name for spec in ARCHITECTURES if not spec.own} == set(names) == set(ROWS)
    assert len(names) == 80
    for spec in ARCHITECTURES:
        if not spec.own:
            weights = torchvision.models.get_model_weights(spec.name).DEFAULT
            assert weights.transforms().crop_size == [spec.input_size], spec.name


def test_fingerprints_tell_all_apart() -> None:
    digests = [known.digest for known in architectures.fingerprints().values()]
    assert len(set(digests)) == len(digests) == 80


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.nightly) for n in ROWS])
def test_suggested_layer_positions_and_head(name: str) -> None:
    layer, layout, columns, channels, start, step, head = ROWS[name]
    loaded = classifier(name)
    tap = loaded.tap()
    assert (tap.name, tap.layout.kind, tap.layout.grid) == (layer, layout, (int(columns), int(columns)))
    assert tap.channels == int(channels)
    assert tap.positions is not None
    assert tap.positions.start == (float(start), float(start))
    assert tap.positions.step == (float(step), float(step))
    assert loaded.head.kind == head
    assert bool(loaded.head.reason) == (head == "none")
    assert loaded.head.relu == name.startswith("densenet")
    summary = loaded.summary()
    assert [row.name for row in summary.layers if row.fit == "suggested"] == [layer]
    assert architectures.candidates(loaded.network.state_dict()) == [name]
    for row in summary.layers:
        if row.positions is not None:
            side = BY_NAME[name].input_size
            assert abs(row.positions.step[0] - side / row.output_shape[2]) <= row.positions.step[0]


def test_shared_modules_are_told_apart() -> None:
    loaded = classifier("resnet18")
    names = [row.name for row in loaded.summary().layers]
    assert "layer4.1.relu#2" in names
    assert loaded.tap("layer4.1.relu#2").call == 1
    with pytest.raises(LayerError, match="Its output is 1 x 1"):
        loaded.tap("avgpool")
    with pytest.raises(LayerError, match="no layer"):
        loaded.tap("layer5")


def test_measuring_leaves_no_hook() -> None:
    loaded = classifier("squeezenet1_1")
    assert all(row.seconds is None for row in loaded.summary().layers)
    assert all(row.seconds is not None for row in loaded.summary(measure=True).layers if row.calls)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in loaded.network.modules())


def test_an_unknown_name_is_one_sentence() -> None:
    with pytest.raises(ModelError, match="resnet50"):
        architecture("resnet5O")
