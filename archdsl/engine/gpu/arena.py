"""The arena of a plan as one tensor, and a plan's views as tensors [N, H, W, C] in it."""

from __future__ import annotations

import torch

from archdsl.engine.backend import WORDS
from archdsl.engine.gpu.spot import image_row
from archdsl.plan import ALIGNMENT, DTYPES, IMAGE, Plan, View

TORCH_DTYPES = {word: dtype for dtype, word in WORDS.items()}


class Arena:
    """All memory that the launches of a plan read and write, for one batch.

    image: where a batch of images is put, [N, H, W, C]; bytes: of the arena.
    """

    def __init__(self, plan: Plan, batch: int, device: torch.device) -> None:
        self.plan, self.batch, self.device = plan, batch, device
        self.dtype = TORCH_DTYPES[plan.dtype]
        self.bytes = plan.bytes(batch)
        self.memory = torch.zeros(max(self.bytes, ALIGNMENT), dtype=torch.uint8, device=device)
        view = plan.image
        self.row = image_row(view.channels)
        whole = torch.zeros(batch, view.height, view.width, self.row, dtype=self.dtype, device=device)
        self.image = whole[..., : view.channels]

    def tensor(self, view: View) -> torch.Tensor:
        """A view as images [N, H, W, C]."""
        if view.buffer == IMAGE:
            return self.image[..., view.channel : view.channel + view.channels]
        rows = self.batch * view.height * view.width
        start = self.batch * self.plan.buffers[view.buffer].offset
        stop = start + rows * view.row * DTYPES[self.plan.dtype]
        whole = self.memory[start:stop].view(self.dtype).view(self.batch, view.height, view.width, view.row)
        return whole[..., view.channel : view.channel + view.channels]

    def outputs(self) -> dict[str, torch.Tensor]:
        """By name, as the network has them, (N, C, H, W) or (N, C): views that the next run overwrites."""
        network = self.plan.network
        shapes = {o.name: network.nodes[o.node].shape for o in network.outputs if not o.aux}
        found = {}
        for name, view in self.plan.outputs:
            tensor = self.tensor(view)
            found[name] = (
                tensor.reshape(self.batch, -1) if len(shapes[name]) == 1 else tensor.permute(0, 3, 1, 2)
            )
        return found

    def poison(self) -> None:
        """Fill the arena with NaN: what a launch reads before it is written then shows. For tests."""
        self.memory[: self.memory.numel() // 4 * 4].view(torch.float32).fill_(float("nan"))


class Scratch:
    """Tensors that live for one launch: what lies between the kernels of a problem that was cut. Launches run
    one after another, so all of them share the same blocks."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.blocks: list[torch.Tensor] = []
        self.taken: set[int] = set()

    def begin(self) -> None:
        """The next launch: everything can be taken again."""
        self.taken.clear()

    def take(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        size = -(-torch.Size(shape).numel() * dtype.itemsize // ALIGNMENT) * ALIGNMENT
        free = [i for i, block in enumerate(self.blocks) if i not in self.taken and block.numel() >= size]
        if free:
            index = min(free, key=lambda i: self.blocks[i].numel())
        else:
            index = len(self.blocks)
            self.blocks.append(torch.zeros(size, dtype=torch.uint8, device=self.device))
        self.taken.add(index)
        return self.blocks[index][: torch.Size(shape).numel() * dtype.itemsize].view(dtype).view(shape)

    @property
    def bytes(self) -> int:
        return sum(block.numel() for block in self.blocks)
