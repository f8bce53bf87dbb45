"""C3D: eight 3×3×3 convolutions and three dense layers, for clips of exactly 16×112×112.

Letters: B clips, K classes. Submodules carry the names of the public checkpoint (conv1 … fc8).
"""

from torch import Tensor, nn

from voxplain.errors import ModelError

GRID = (16, 112, 112)  # T, H, W: the only clip for which pool5 gives the 512·1·4·4 values that fc6 reads
FLAT = 512 * 1 * 4 * 4


def _conv(inputs: int, outputs: int) -> nn.Conv3d:
    return nn.Conv3d(inputs, outputs, kernel_size=3, padding=1)


class C3D(nn.Module):
    """The C3D network; logits [B, K] of clips [B, 3, 16, 112, 112].

    Layers to explain: ``relu5b`` (512×2×7×7, last activation map) and ``relu7`` (4096, the paper's feature).
    Every ReLU is its own module and none works in place, so that hooks get the values of their layer.

    Parameters
    ----------
    classes : int
        Number of classes K.

    References
    ----------
    Tran et al., Learning Spatiotemporal Features with 3D Convolutional Networks, ICCV 2015.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1, self.relu1 = _conv(3, 64), nn.ReLU()
        self.pool1 = nn.MaxPool3d((1, 2, 2))  # keeps time: motion is not merged in the first layer
        self.conv2, self.relu2 = _conv(64, 128), nn.ReLU()
        self.pool2 = nn.MaxPool3d(2)
        self.conv3a, self.relu3a = _conv(128, 256), nn.ReLU()
        self.conv3b, self.relu3b = _conv(256, 256), nn.ReLU()
        self.pool3 = nn.MaxPool3d(2)
        self.conv4a, self.relu4a = _conv(256, 512), nn.ReLU()
        self.conv4b, self.relu4b = _conv(512, 512), nn.ReLU()
        self.pool4 = nn.MaxPool3d(2)
        self.conv5a, self.relu5a = _conv(512, 512), nn.ReLU()
        self.conv5b, self.relu5b = _conv(512, 512), nn.ReLU()
        self.pool5 = nn.MaxPool3d(2, padding=(0, 1, 1))  # 7×7 → 4×4 needs the border
        self.flatten = nn.Flatten()
        self.fc6, self.relu6, self.dropout6 = nn.Linear(FLAT, 4096), nn.ReLU(), nn.Dropout(0.5)
        self.fc7, self.relu7, self.dropout7 = nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5)
        self.fc8 = nn.Linear(4096, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B, K] of float clips [B, 3, 16, 112, 112]; ModelError on any other shape."""
        if clips.ndim != 5 or tuple(clips.shape[1:]) != (3, *GRID):
            raise ModelError(
                f"c3d needs clips of shape [B, 3, 16, 112, 112], got {list(clips.shape)}; "
                "sample 16 frames and crop to 112×112, or use r3d or i3d, which take other sizes"
            )
        x = self.pool1(self.relu1(self.conv1(clips)))
        x = self.pool2(self.relu2(self.conv2(x)))
        x = self.pool3(self.relu3b(self.conv3b(self.relu3a(self.conv3a(x)))))
        x = self.pool4(self.relu4b(self.conv4b(self.relu4a(self.conv4a(x)))))
        x = self.pool5(self.relu5b(self.conv5b(self.relu5a(self.conv5a(x)))))
        x = self.dropout6(self.relu6(self.fc6(self.flatten(x))))
        x = self.dropout7(self.relu7(self.fc7(x)))
        logits: Tensor = self.fc8(x)
        return logits


def c3d(classes: int) -> C3D:
    """Build C3D with random weights for ``classes`` classes (77,995,776 + 4,097·classes parameters).

    Convolutions are initialised Kaiming-normal, biases with zero: without batch norm the default initialisation
    shrinks the signal by an order of magnitude a few layers in and training stalls. Dense layers are initialised with
    std 0.005, as by C3D's authors, and the last one with 0.01, so that the first loss is close to log(classes). With
    Kaiming-normal dense layers the 4,096 features have a squared length of thousands; a step at the rate r moves a
    logit by about r times that, and the papers' 0.01 diverges.
    """
    net = C3D(classes)
    for layer in net.modules():
        if isinstance(layer, nn.Conv3d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01 if layer is net.fc8 else 0.005)
        if isinstance(layer, (nn.Conv3d, nn.Linear)) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return net
