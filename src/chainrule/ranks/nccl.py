"""NCCL: ranks are processes of MPI with a CUDA device each; gradients are summed on the devices, the rest goes by MPI."""

from typing import Any

import cupy
from cupy.cuda import nccl

from chainrule.mathematics.arrays import Array
from chainrule.ranks.mpi import MpiGroup

_DTYPES = {"float32": nccl.NCCL_FLOAT32, "float64": nccl.NCCL_FLOAT64}


class NcclGroup(MpiGroup):
    """A rank with the CUDA device that is current when the group is made; no two ranks may share one."""

    name = "nccl"
    on_host = False

    def __init__(self, communicator: Any = None) -> None:
        super().__init__(communicator)
        name = self.broadcast(nccl.get_unique_id() if self.rank == 0 else None)
        self._nccl = nccl.NcclCommunicator(self.size, name, self.rank)

    def _sum(self, buffer: Array) -> None:
        stream = cupy.cuda.get_current_stream().ptr
        place, count = buffer.data.ptr, buffer.size
        self._nccl.allReduce(place, place, count, _DTYPES[buffer.dtype.name], nccl.NCCL_SUM, stream)
