"""The recipes: the paper as printed, as its authors ran it, and related networks, each written as a diff on another."""

from alexnet.recipe.diff import changed
from alexnet.recipe.network import Layer, Model, ResponseNorm
from alexnet.recipe.schema import Data, Optim, RateChange, Recipe

# ---- The networks of figure 1 ---------------------------------------------------------------------------------------- The
# paper says only "a four-layer convolutional network"; ../README.md says why these three. Source: cuda-convnet's example layers
# (2011-2012), without weight decay: figure 1 says "no regularization".

FIGURE_1_A = Recipe(  # layers-19pct.cfg: three convolutions and one full layer, four learned layers
    model=Model(
        layers=(
            Layer(outputs=32, kernel=5, padding=2, pool="max", weight_std=0.0001),
            Layer(outputs=32, kernel=5, padding=2, pool="average", weight_std=0.01),
            Layer(outputs=64, kernel=5, padding=2, pool="average", weight_std=0.01),
            Layer(kind="full", outputs=10, weight_std=0.01),
        )
    ),
    optim=Optim(stop_at_train_error=0.25),
)

FIGURE_1_B = changed(  # layers-80sec.cfg: the same with a hidden layer of 64, four hidden layers
    FIGURE_1_A,
    {
        "model.layers": (
            *FIGURE_1_A.model.layers[:3],
            Layer(kind="full", outputs=64, weight_std=0.1),
            Layer(kind="full", outputs=10, weight_std=0.1),
        )
    },
)

FIGURE_1_C = changed(  # layers-conv-local-13pct.cfg without its crops: two convolutions, two locally connected layers
    FIGURE_1_A,
    {
        "model.layers": (
            Layer(outputs=64, kernel=5, padding=2, pool="max", weight_std=0.0001),
            Layer(outputs=64, kernel=5, padding=2, pool="max", weight_std=0.01),
            Layer(kind="local", outputs=32, kernel=3, padding=1, weight_std=0.04),
            Layer(kind="local", outputs=32, kernel=3, padding=1, weight_std=0.04),
            Layer(kind="full", outputs=10, weight_std=0.01),
        )
    },
)

# layers-conv-local-13pct.cfg: crops of 24, flips, weight decay in the local and full layers only. The differences from it: its
# data provider subtracted the centre 24 x 24 of the mean image from every crop; here each crop loses the mean image's pixels at
# its own place. It used one order of images for all epochs; here each epoch has a new order. It made 395 updates an epoch,
# because the last batch of each of its five files had 16 images; here there are 390 of 128 each. And its notes say that the
# rates of weights drop, and name no others; here those of biases drop with them.
CIFAR_13PCT = changed(
    FIGURE_1_C,
    {
        "model.image_size": 24,
        "model.layers.0.decay_factor": 0.0,
        "model.layers.1.decay_factor": 0.0,
        "data.flip": True,
        "optim.weight_decay": 0.004,
        "optim.stop_at_train_error": 0.0,
        "optim.update": "paper",
        "optim.epochs": 140,
        "optim.schedule": (  # two drops by 10 at the end, as in the authors' other nets of the time; this net's is not recorded
            RateChange(epoch=120, weights=0.1, biases=0.1),
            RateChange(epoch=130, weights=0.01, biases=0.01),
        ),
    },
)

CIFAR_11PCT = changed(  # layers-conv-local-11pct.cfg: not only the normalization differs, so the pair proves little
    CIFAR_13PCT,
    {
        "model.cross_map_norm": ResponseNorm(size=9, k=1.0, alpha=1e-3, alpha_times="mean"),
        "model.layers.0.norm": "cross_map",
        "model.layers.0.order": "activation-pool-norm",
        "model.layers.1.norm": "cross_map",
        "model.layers.2.outputs": 64,
        "model.layers.last.decay_factor": 2.5,
    },
)

# ---- AlexNet ---------------------------------------------------------------------------------------------------------

PAPER = Recipe(  # the paper as printed, sections 3 to 5; only model.border_after is needed but not printed
    model=Model(
        layers=(
            Layer(outputs=96, kernel=11, stride=4, norm="cross_map", pool="max"),
            Layer(outputs=256, kernel=5, padding=2, norm="cross_map", pool="max", initial_bias=1.0),
            Layer(outputs=384, kernel=3, padding=1, crosses=True),
            Layer(outputs=384, kernel=3, padding=1, initial_bias=1.0),
            Layer(outputs=256, kernel=3, padding=1, pool="max", initial_bias=1.0),
            Layer(kind="full", outputs=4096, crosses=True, dropout=0.5, initial_bias=1.0),
            Layer(kind="full", outputs=4096, crosses=True, dropout=0.5, initial_bias=1.0),
            Layer(kind="full", outputs=1000, crosses=True),
        ),
        columns=2,
        norm_across="layer",
        dropout_form="2012",
        image_size=224,
        border_after=3,
        classes=1000,
    ),
    data=Data(
        name="imagenet",
        validation_images=50_000,
        flip=True,
        crop_offsets=32,
        colour_noise=0.1,
        colour_noise_times="eigenvalue",
    ),
    optim=Optim(
        learning_rate=0.01, bias_rate_factor=1.0, weight_decay=0.0005, update="paper", batch_size=128, epochs=90, drops=3
    ),
)

SOURCE_2012 = changed(  # net 145 as its authors ran it for table 1 (layers-145.cfg, layer-params-145-2010.cfg and its log)
    PAPER,
    {
        "model.norm_across": "column",
        "model.cross_map_norm.alpha_times": "mean",
        "model.layers.0.order": "norm-pool-activation",
        "model.layers.1.norm": "cross_map+within_map",
        "model.layers.2.weight_std": 0.03,
        "model.layers.3.weight_std": 0.03,
        "model.layers.4.weight_std": 0.03,
        "data.validation_images": 0,
        "data.inputs": "minus_centre_of_mean_image",
        "data.crop_offsets": 0,
        "data.images_per_draw": 32,
        "data.order": "fixed",
        "data.colour_noise_times": "standard_deviation",
        "data.colour_noise_divisor": 1.1,
        "data.colour_noise_epochs": 68,
        "optim.bias_rate_factor": 2.0,
        "optim.drops": 0,
        "optim.epochs": 93,
        "optim.schedule": (
            RateChange(epoch=23, weights=0.1, biases=0.1),
            RateChange(epoch=51, weights=0.01, biases=0.1),
            RateChange(epoch=68, weights=0.001, biases=0.1, layers=(0,)),
            RateChange(epoch=72, weights=0.0, biases=0.0, layers=(0,)),
            RateChange(epoch=78, weights=0.001, biases=0.1, layers=(1, 2, 3, 4, 5, 6, 7)),
        ),
    },
)

ONE_GPU_HALF = (
    # Net 145-half, section 3.2's one-GPU net: half the kernels, except in the last convolution and the full layers. It has the
    # schedule of net 145, so that the two can be compared; its own was 20/48/66/72, 96 epochs.
    changed(
        SOURCE_2012,
        {
            "model.columns": 1,
            "model.layers.0.outputs": 48,
            "model.layers.1.outputs": 128,
            "model.layers.2.outputs": 192,
            "model.layers.3.outputs": 192,
        },
    )
)

CUDA_CONVNET2 = changed(  # the one-device net of 2014 (cuda-convnet2, layers-223-1gpu.cfg, layer-params-223-ce2-1gpu.cfg)
    SOURCE_2012,
    {
        "model.columns": 1,
        "model.layers.0.outputs": 64,
        "model.layers.1.outputs": 192,
        "model.layers.1.norm": "cross_map",
        "model.layers.3.outputs": 256,
        "model.layers.last.initial_bias": -7.0,
        "data.images_per_draw": 1,
        "data.colour_noise_epochs": 0,
        "optim.epochs": 90,
        "optim.schedule": (  # `dexp`: weights' rate falls to 1/250 in four steps, biases' to 1/10 in two
            RateChange(epoch=23, weights=250 ** (-1 / 3), biases=1.0),
            RateChange(epoch=45, weights=250 ** (-2 / 3), biases=0.1),
            RateChange(epoch=68, weights=1 / 250, biases=0.1),
        ),
    },
)

# torchvision.models.alexnet and its reference training, without its random resized crops. That training starts with `torchrun
# --nproc_per_node=8 train.py --model alexnet --lr 1e-2`, with 32 images for each of the 8 GPUs: batches of 256.
TORCHVISION = Recipe(
    model=Model(
        layers=(
            Layer(outputs=64, kernel=11, stride=4, padding=2, pool="max"),
            Layer(outputs=192, kernel=5, padding=2, pool="max"),
            Layer(outputs=384, kernel=3, padding=1),
            Layer(outputs=256, kernel=3, padding=1),
            Layer(outputs=256, kernel=3, padding=1, pool="max", dropout=0.5),
            Layer(kind="full", outputs=4096, dropout=0.5),
            Layer(kind="full", outputs=4096),
            Layer(kind="full", outputs=1000),
        ),
        init="torch",
        image_size=224,
        classes=1000,
    ),
    data=Data(name="imagenet", inputs="standardized", flip=True),
    optim=Optim(
        learning_rate=0.01,
        bias_rate_factor=1.0,
        weight_decay=0.0001,
        decay_biases=True,
        batch_size=256,
        epochs=90,
        schedule=(RateChange(epoch=30, weights=0.1, biases=0.1), RateChange(epoch=60, weights=0.01, biases=0.01)),
    ),
)

ALEXNET_32 = (
    changed(  # SOURCE_2012 fitted to images of 32 pixels (crops of 28, as 224 of 256), a quarter as wide; maps 16-8-4-4-4-2
        SOURCE_2012,
        {
            "model.image_size": 28,
            "model.border_after": 0,
            "model.classes": 10,
            "model.width": 0.25,
            "model.layers.0.kernel": 5,
            "model.layers.0.stride": 2,
            "model.layers.0.padding": 4,
            "model.layers.last.outputs": 10,
            # Each keeps weight_std * sqrt(inputs of a unit) as it is at full size, so that signals are as large.
            "model.layers.0.weight_std": 0.022,
            "model.layers.1.weight_std": 0.02,
            "model.layers.2.weight_std": 0.06,
            "model.layers.3.weight_std": 0.06,
            "model.layers.4.weight_std": 0.06,
            "model.layers.5.weight_std": 0.06,
            "model.layers.6.weight_std": 0.02,
            "model.layers.7.weight_std": 0.02,
            "data.name": "cifar10",
            "data.images_per_draw": 1,
            "data.order": "reshuffled",
            "data.colour_noise_epochs": 0,
            "optim.epochs": 12,
            "optim.schedule": (
                RateChange(epoch=8, weights=0.1, biases=0.1),
                RateChange(epoch=11, weights=0.01, biases=0.1),
            ),
        },
    )
)

ALEXNET_64 = changed(  # SOURCE_2012 fitted to images of 64 pixels (crops of 56), half as wide, fewer units; maps 28-14-7-7-7-3
    ALEXNET_32,
    {
        "model.image_size": 56,
        "model.classes": 100,
        "model.width": 0.5,
        "model.layers.0.padding": 2,
        "model.layers.5.outputs": 2048,
        "model.layers.6.outputs": 2048,
        "model.layers.last.outputs": 100,
        "model.layers.1.weight_std": 0.014,
        "model.layers.2.weight_std": 0.042,
        "model.layers.3.weight_std": 0.042,
        "model.layers.4.weight_std": 0.042,
        "model.layers.5.weight_std": 0.028,
        "data.name": "tiny-imagenet-100",
        "optim.epochs": 40,
        "optim.schedule": (
            RateChange(epoch=26, weights=0.1, biases=0.1),
            RateChange(epoch=35, weights=0.01, biases=0.1),
        ),
    },
)

RECIPES = {
    "ALEXNET_32": ALEXNET_32,
    "ALEXNET_64": ALEXNET_64,
    "PAPER": PAPER,
    "SOURCE_2012": SOURCE_2012,
    "ONE_GPU_HALF": ONE_GPU_HALF,
    "CUDA_CONVNET2": CUDA_CONVNET2,
    "TORCHVISION": TORCHVISION,
    "FIGURE_1_A": FIGURE_1_A,
    "FIGURE_1_B": FIGURE_1_B,
    "FIGURE_1_C": FIGURE_1_C,
    "CIFAR_13PCT": CIFAR_13PCT,
    "CIFAR_11PCT": CIFAR_11PCT,
}
"""Every recipe of this file, by name."""
