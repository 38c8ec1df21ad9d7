"""The network: :class:`NeuralNetwork`, whose methods call the other modules.

It holds the parameters and knows which backend they are on. All computation is in pure functions.
"""

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import replace
from os import PathLike
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from chainrule import backends
from chainrule.backends import Backend
from chainrule.backends.plans import step_plan
from chainrule.data import inputs, targets
from chainrule.data.inputs import AnyArray
from chainrule.data.streams import Stream, as_stream, is_stream
from chainrule.explain.oracles import NAMES
from chainrule.mathematics import activations
from chainrule.mathematics.activations import Activation
from chainrule.mathematics.architecture import Architecture, architecture
from chainrule.mathematics.arrays import Array, namespace, record_like
from chainrule.mathematics.checks import at_least, flag, whole_number
from chainrule.mathematics.initializers import Initializer, draw
from chainrule.mathematics.layers import Dense, DenseCache
from chainrule.mathematics.losses import Loss
from chainrule.mathematics.naming import quoted, require
from chainrule.mathematics.optimizers import Optimizer, State, sgd
from chainrule.mathematics.optimizers import optimizer as named_optimizer
from chainrule.mathematics.schedules import Schedule, schedule
from chainrule.mathematics.step import Batch, Forward, Progress, TrainingStep, forward, step
from chainrule.program import machine
from chainrule.program.dtypes import numpy_dtype
from chainrule.ranks import join
from chainrule.training import tasks
from chainrule.training.batches import Chance, TrainingRows
from chainrule.training.display import Display, display
from chainrule.training.evaluation import Score, outputs, score
from chainrule.training.history import History
from chainrule.training.interrupts import Interrupts
from chainrule.training.loop import fit
from chainrule.training.memory import Demand, MemoryEstimate, check_weights
from chainrule.training.windows import Windows

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from chainrule.explain.explanation import Explanation
    from chainrule.explain.gradcheck import GradientCheck
    from chainrule.program.plan import Plan
    from chainrule.training.summary import NetworkSummary

Data = tuple[AnyArray, AnyArray] | tuple[AnyArray, AnyArray, AnyArray]
Weights = AnyArray | None
Large = PathLike[str] | Stream | Iterable[Any]  # data that are read while training
BackendLike = str | Backend | ModuleType
Rule = tuple[str, dict[str, Any]]  # an optimizer by its name and its settings

FIRST, LAST_HIDDEN, LAST = 0, -2, -1  # layers
# Methods of other libraries, and ours.
_ELSEWHERE = {
    "fit": "train(X, y, epochs=100), or MLPClassifier and MLPRegressor of chainrule.estimators",
    "partial_fit": "train(X, y, epochs=1, resume=True)",
    "predict_proba": "predict(X)",
    "score": "evaluate(X, y)",
    "forward": "feedforward(X)",
}


def _parameter(layer: int, part: str, doc: str) -> Any:
    """Return the property for one parameter array of a layer."""

    def assign(net: "NeuralNetwork", value: Any) -> None:
        net.set_layer(layer, **{part: value})

    return property(lambda net: getattr(net.layers[layer], part), assign, doc=doc)


def _cached(layer: int, part: str, doc: str) -> Any:
    """Return the property for an array that the last feedforward computed in a layer."""
    return property(lambda net: getattr(net.cache(layer), part), doc=doc)


class NeuralNetwork:
    """A dense network of any depth, trained by the chain rule written out by hand.

    Parameters
    ----------
    input_size, output_size
        Features in, outputs out.
    hidden_size
        One width, or a sequence of them; ``()`` for none.
    activation
        Of the hidden layers: a name, an ``Activation``, or one for each.
    output_activation
        Of the last layer; by default sigmoid for ``squared_error``, and identity for the other losses.
    loss
        "squared_error" (half the sum over the batch), "mean_squared_error", "half_squared_error" (of a
        sample, the mean over samples), "binary_cross_entropy", "multilabel_cross_entropy" (the same, summed
        over outputs), "cross_entropy" (these three on logits), "poisson" (on logarithms), or a ``Loss``.
    initializer
        Of the weights: "standard_normal", "glorot_uniform", "he_normal", or a function; by default, by activation.
    bias_initializer
        "zeros"; "uniform" over ±1/sqrt(n_in), as in PyTorch; or a function.
    dropout
        The probability of dropping each hidden unit in training.
    weight_decay
        The lambda of the penalty ``lambda/2 sum W²``.
    clip_norm
        The largest norm of the gradient of all parameters; a larger gradient is scaled down to it.
    backend
        A name ("numpy", "cupy:0", "torch:cuda", "jax"), an Array API namespace, or ``None``:
        ``CHAINRULE_BACKEND`` decides, else the first arrays given. "auto" picks the backend that
        measured fastest on this machine (``chainrule bench recommend``) for this network and its first batch, unless
        those arrays are on a device; the choice is logged.
    dtype
        "float32" or "float64"; by default the widest that the backend supports. "float16" or
        "bfloat16": training multiplies in 16 bits, under float32 weights (:mod:`chainrule.mathematics.precision`).
    seed
        The same seed gives the same initial weights, batches and dropout masks on every backend. ``None`` uses
        NumPy's global state (``numpy.random.seed``).

    Attributes
    ----------
    architecture
        Sizes, activations, loss, and what the step adds.
    metadata
        Facts that are saved with the model (labels, a scaler, ...), as JSON can hold them.

    Raises
    ------
    ValueError, TypeError
        If a name is unknown or a number outside its range.
    chainrule.backends.BackendUnavailableError
        If the backend cannot be used here.

    Examples
    --------
    >>> net = NeuralNetwork(input_size=2, hidden_size=4, output_size=1, seed=1)
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
    >>> history = net.train(X, y, epochs=8000, learning_rate=0.5, progress=False)
    >>> net.feedforward(X).round()
    array([[0.],
           [1.],
           [1.],
           [0.]])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        output_size: int,
        *,
        activation: str | Activation | Sequence[str | Activation] = "sigmoid",
        output_activation: str | Activation | None = None,
        loss: str | Loss = "squared_error",
        initializer: str | Initializer | None = None,
        bias_initializer: str | Initializer = "zeros",
        dropout: float = 0.0,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        backend: BackendLike | None = None,
        dtype: str | None = None,
        seed: int | None = None,
    ) -> None:
        self._asked_dtype, compute = inputs.precision(dtype)
        self.architecture = architecture(
            (input_size, hidden_size, output_size),
            activation,
            output_activation,
            loss,
            dropout=dropout,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            compute=compute,
        )
        self.metadata: dict[str, Any] = {}
        self._changing: dict[int, Lock] = {}
        self._backend: Backend | None = None
        self._forward: Forward | None = None
        self._kept: tuple[Rule, State] | None = None  # the optimizer and its state, to continue from
        seed = None if seed is None else at_least(0, "seed", seed)
        chosen, self._is_auto = backends.get(backend), backends.is_auto(backend)
        check_weights(self.architecture)
        # On the host, in float64, until the network has a backend.
        self._theta: Array = draw(self.architecture, initializer, seed, bias_initializer)  # (P,)
        self._chance = Chance(seed)
        if chosen is not None:
            self._place(chosen)

    if not TYPE_CHECKING:  # for a type checker, the class has the attributes below and no others

        def __getattr__(self, name: str) -> Any:
            problem = f"NeuralNetwork has no attribute {name!r}; use {_ELSEWHERE.get(name)}"
            require(name not in _ELSEWHERE, problem, AttributeError)
            return super().__getattribute__(name)  # raises the usual error, or that of a property

    def __repr__(self) -> str:
        net = self.architecture
        return f"NeuralNetwork({net}, {net.loss.name}, {net.layout.total:,} parameters)"

    # -- the three verbs -------------------------------------------------------------------------

    def feedforward(self, X: AnyArray) -> Array:
        """Return the outputs ``A (n, output_size)`` of the last layer, and keep those of all layers.

        With a loss on logits these are the logits; :meth:`predict` returns probabilities.

        Raises
        ------
        ValueError, TypeError
            If X is not ``(n, input_size)`` finite real numbers, on the host or where the network is.
        """
        X = inputs.features(X, self.architecture.sizes[0], self._place_for(X))
        with self.backend.quiet():
            self._forward = forward(self._theta, X, self.architecture)
        return self._forward.A

    def backward(self, X: AnyArray, y: AnyArray, learning_rate: float = 0.1) -> None:
        """Take one step of gradient descent on all of ``X (n, input_size)`` and ``y``.

        ``W <- W - learning_rate dL_dW``, likewise b. It includes the forward
        pass, so no call of :meth:`feedforward` is needed before it.

        Raises
        ------
        ValueError, TypeError
            As :meth:`train`.
        RuntimeError
            If the network is training: in another thread, or around the callback that calls this.
        """
        with self._change():
            data = targets.batch((X, y, None), self.architecture, self._place_for(X))
            rate, key = self._rate(learning_rate), self._key(self._chance)
            with self.backend.quiet():
                start = Progress(self._theta, ())
                self._theta = step(start, data, rate, key, self.architecture, sgd())[0].theta

    def train(
        self,
        X: AnyArray | Large,
        y: AnyArray | None,
        epochs: int,
        learning_rate: float | Schedule = 0.1,
        *,
        batch_size: int | None = None,
        shuffle: bool = True,
        optimizer: str | Optimizer = "sgd",
        sample_weight: Weights = None,
        validation_data: Data | None = None,
        validation_fraction: float | None = None,
        early_stopping: int | bool | None = None,
        callbacks: Sequence[tasks.Callback] = (),
        progress: bool | None = None,
        print_every: int = 4000,
        compile: bool = True,
        threads: int | None = None,
        ranks: Any = None,
        sharded: bool = False,
        resume: bool = False,
        checkpoint: str | PathLike[str] | None = None,
        checkpoint_seconds: float = 60.0,
        checkpoint_epochs: int | None = None,
    ) -> History:
        """Train on ``X (n, input_size)`` and ``y``, and return the history.

        Parameters
        ----------
        X, y
            The samples and their targets: ``(n, output_size)``, or for ``cross_entropy`` labels
            ``(n,)`` from 0. They are not modified. For data larger than memory, X is a Parquet file, a folder of them,
            or record batches, and y the name of a column; or X is a :class:`~chainrule.data.streams.Stream` and y ``None``.
        epochs
            How many times to go over all rows.
        learning_rate
            A number, or a schedule from :mod:`chainrule.mathematics.schedules`.
        batch_size
            Rows a step; ``None`` takes all rows in every step.
        shuffle
            ``True`` draws batches in another order each epoch; ``False`` takes the rows in their order.
        optimizer
            "sgd", "momentum", "nesterov", "adam", "adamw", or an ``Optimizer``; its state starts from zero
            unless ``resume=True``.
        sample_weight
            ``(n,)``: multiplies each sample's loss.
        validation_data, validation_fraction
            Held-out data ``(X, y)`` or ``(X, y, sample_weight)``, or the share of the rows to hold out,
            drawn from the seed.
        early_stopping
            Epochs without a better loss (on the held-out data if there are any) before training
            stops; ``True`` is 10. The best weights are restored.
        callbacks
            Functions called with the ``Record`` of each epoch; one that returns ``True`` ends training. In a
            callback the network has the weights of that epoch: it can be read, saved and copied, not changed.
        progress
            ``True``: a bar on a terminal, lines elsewhere, on standard error. ``False``: nothing. ``None``: as
            ``True`` if there are batches, held-out data or fewer than ``print_every`` epochs; otherwise a line
            ``Epoch 0, Loss:0.26`` every ``print_every`` epochs, on standard output.
        compile
            ``False`` runs the step as it is written, on any backend.
        threads
            How many to use on the CPU; by default ``CHAINRULE_THREADS``, else one for each core.
        ranks
            "mpi": the processes that ``mpiexec`` started train this network together, each on its rows of every
            batch (:mod:`chainrule.ranks`). "mpi:tree": with the same bits on 1, 2, 4 and 8 of them. By default
            ``CHAINRULE_RANKS``, else "alone". Rank 0 alone prints, writes and calls the callbacks. All ranks are given
            the same data; of a stream, each reads only its own blocks ("mpi:tree": all of them).
        sharded
            ``True``: the data given on each rank are rows of its own, which no other rank has; so are the held-out data.
        resume
            ``True`` keeps the optimizer's state (Adam's moments) after training, and starts from the state
            that the previous run kept, if its optimizer was the same. With ``checkpoint``, it continues the run
            in that folder, and ends with the same bits as a run that was never stopped; where the folder has no
            checkpoint, the run starts from the beginning.
        checkpoint
            A folder for checkpoints of this run alone: weights, optimizer, schedule, draws and history. Ctrl-C
            writes one too. The last three are kept.
        checkpoint_seconds, checkpoint_epochs
            How often to write one: after so many seconds, within an epoch too, and after every so many epochs.

        Returns
        -------
        History
            A record for each epoch. Ctrl-C ends training after the current step, and a second Ctrl-C at once;
            the weights learned by then are kept, and ``history.interrupted`` is true.

        Raises
        ------
        ValueError, TypeError
            If an argument is not as described here, the ranks differ in settings or data, or the run to continue had
            other ones; they are named, and the weights are not changed.
        OSError
            If no checkpoint can be written at the start, another run uses the folder, or it holds a run and
            ``resume`` is false. A checkpoint that fails later is reported, and training continues.
        RuntimeError
            If the network is training already: in another thread, or around the callback that calls this.
        MemoryError
            If a step does not fit into memory; the message names the largest batch size that does.
        FloatingPointError
            If the loss stops being finite; the last finite weights are kept.

        Examples
        --------
        >>> net = NeuralNetwork(1, 8, 1, activation="tanh", loss="mean_squared_error", seed=0)
        >>> X = [[0.0], [0.5], [1.0]]
        >>> net.train(X, [[0.0], [0.25], [1.0]], epochs=400, learning_rate=0.2, progress=False)
        History(400 epochs, last mean squared error 0.00494477)
        """
        group = join(ranks)
        own = flag("sharded", sharded) and group.size > 1
        problem = "sums by a tree need the same rows on all ranks; leave out ':tree', or sharded=True"
        require(not (own and group.tree), problem)
        problem = "got validation_data and validation_fraction; give one of them"
        require(validation_data is None or validation_fraction is None, problem)
        resume, folder = flag("resume", resume), None
        if checkpoint is not None:
            from chainrule.training.resuming import RunFolder

            folder = RunFolder(checkpoint, checkpoint_seconds, checkpoint_epochs, group, resume=resume)
        settings = tasks.Settings(
            epochs=at_least(1, "epochs", epochs),
            batch_size=None if batch_size is None else at_least(1, "batch_size", batch_size),
            schedule=schedule(learning_rate),
            optimizer=named_optimizer(optimizer),
            patience=tasks.patience(early_stopping),
            callbacks=tasks.callback_list(callbacks),
            shuffle=flag("shuffle", shuffle),
            compiled=flag("compile", compile),
            threads=threads,
            show=self._show,
            group=group,
            folder=folder,
        )
        plain = batch_size is None and validation_data is None and validation_fraction is None
        shown = display(progress, settings.epochs, at_least(1, "print_every", print_every), plain=plain)
        if group.rank > 0:
            shown = Display()
        with ExitStack() as stack:
            stack.enter_context(self._change())
            if folder is not None:
                stack.enter_context(folder).begin(self._chance)
            if is_stream(X, y) or (settings.batch_size is not None and isinstance(X, np.memmap)):
                X, y, sample_weight = as_stream(X, y, sample_weight), None, None
            door = self._place_for(X, settings.batch_size, settings.optimizer)
            data = self._rows((X, y, sample_weight), door, settings.batch_size)
            validation: TrainingRows | None = None
            if validation_fraction is not None:
                draws = self._chance.of_rank(group.rank) if own else self._chance
                data, validation = data.split(validation_fraction, draws)
            elif validation_data is not None:
                validation = self._validation(validation_data, door)
            if group.size > 1:
                data = data.shared(group, own=own)
                validation = None if validation is None else validation.shared(group, own=own)
            task = tasks.Task(self.architecture, self.backend, data.loaded(), validation)
            (history,) = _fit([(self, task, settings)], shown, resume=resume and folder is None)
        if history.error is not None:
            raise history.error
        return history

    def _demand(self, task: tasks.Task, settings: tasks.Settings) -> tuple[Demand, int]:
        """Return what training asks of the memory, and the rows of a batch."""
        rows, streamed = max(1, len(task.data)), self.backend.streams(task.data.data.X)
        batch_rows = min(settings.batch_size or rows, rows)
        steps = settings.epochs * -(-rows // batch_rows)
        what = self.architecture, settings.optimizer, self.dtype, self.backend
        return Demand(*what, streamed, settings.compiled, steps, settings.threads), batch_rows

    def _show(self, theta: Array) -> None:
        """Set the parameters ``theta (P,)``, and drop the arrays of the last feedforward."""
        self._theta, self._forward = theta, None

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Refuse to change the parameters while another call does."""
        # One lock a process: in a forked child no thread is left that could release its parent's.
        lock = self._changing.setdefault(os.getpid(), Lock())
        problem = "the network is training; change it after train has returned, or change a copy.deepcopy of it"
        require(lock.acquire(blocking=False), problem, RuntimeError)
        try:
            yield
        finally:
            lock.release()

    # -- predictions -----------------------------------------------------------------------------

    def predict(self, X: AnyArray, *, logits: bool = False) -> Array:
        """Return predictions ``(n, output_size)``: probabilities if the loss is on logits.

        ``X`` may have any number of rows: they are computed in blocks. Small probabilities
        keep their digits: for a logit of -20 in float32, :meth:`feedforward` returns 0, and this 2e-9.

        Parameters
        ----------
        X
            ``(n, input_size)``.
        logits
            ``True`` returns what the last layer computes: for losses on logits, those.
        """
        net, door = self.architecture.predicting, self._place_for(X)
        with self.backend.quiet():
            A = self._outputs(inputs.matrix(X, net.sizes[0], door), net, door)  # (n, n_out)
            return A if flag("logits", logits) else net.loss.link(A)

    def _outputs(self, X: Any, net: Architecture, door: inputs.Door) -> Array:
        """Return the outputs ``(n, n_out)`` of the last layer for the rows of a checked matrix."""
        parts = [
            outputs(self._theta, part, net, self.backend) for part in inputs.blocks(X, door)
        ]  # (some, n_out) each
        return parts[0] if len(parts) == 1 else self.backend.xp.concat(parts, axis=0)

    def predict_classes(self, X: AnyArray) -> Array:
        """Return the most likely class of each row ``(n,)``, integers; with one output, 0 or 1."""
        P = self.predict(X)  # (n, n_out)
        xp = namespace(P)
        with self.backend.quiet():
            if P.shape[-1] > 1:
                return xp.argmax(P, axis=-1)  # (n,)
            return xp.astype(xp.reshape(P, (-1,)) > 0.5, xp.int64)  # (n,)

    def evaluate(self, X: AnyArray, y: AnyArray, sample_weight: Weights = None) -> Score:
        """Return the loss, on the scale that training reports, and for classes the accuracy.

        Weights count in the loss; in the accuracy every sample counts the same.
        """
        net, door = self.architecture, self._place_for(X)
        X = inputs.matrix(X, net.sizes[0], door)
        data = targets.beside(X, y, sample_weight, net, door.wide(X, net.sizes))
        with self.backend.quiet():
            return score(self._outputs(X, net, door), data, net, self.backend)

    # -- one step, looked at --------------------------------------------------------------------

    def explain(
        self,
        X: AnyArray,
        y: AnyArray,
        learning_rate: float | Schedule = 0.1,
        *,
        optimizer: str | Optimizer = "sgd",
        sample_weight: Weights = None,
        detail: Literal["named", "all"] = "named",
    ) -> "Explanation":
        """Return one training step on ``X (n, input_size)`` and ``y``, factor by factor.

        It is the step that :meth:`train` would take on these rows as one batch, run operation by
        operation: forward, loss, backward layer by layer, update. The network is not changed. ``flags``
        lists what keeps the network from learning, and what to do about it.

        Parameters
        ----------
        X, y, sample_weight
            As in :meth:`train`, but NaN and infinity are allowed, and reported in ``flags``.
        learning_rate, optimizer
            Of the step. The optimizer continues from the state that ``train(resume=True)`` left, if that had the
            same optimizer; otherwise it starts from its initial state.
        detail
            "named" shows the values that have a name in the formulas; "all" shows every operation.

        Returns
        -------
        Explanation
            Prints as text, and shows as HTML in a notebook.

        Raises
        ------
        ValueError, TypeError
            If an argument is not as described here.
        RuntimeError
            If a profiler is active: the names are read through the same hook.

        Examples
        --------
        >>> from chainrule import NeuralNetwork
        >>> step = NeuralNetwork(2, 4, 1, seed=1).explain([[0, 1], [1, 1]], [[1], [0]])
        >>> print(step["dL_dW1"].formula.text, step["dL_dW1"].products)
        (dZ/dW1).T @ dL/dZ1 ('(2, 2) @ (2, 4) -> (2, 4)',)
        >>> step.flags
        ()
        """
        from chainrule.explain.explanation import explain

        require(detail in {"named", "all"}, f"detail is {detail!r}; give 'named' or 'all'")
        training = TrainingStep(self.architecture, named_optimizer(optimizer))
        door = self._place_for(X)._replace(finite=False)
        batch = targets.batch((X, y, sample_weight), self.architecture, door)
        rule = training.optimizer.name, dict(training.optimizer.settings)
        state = self._kept[1] if self._kept and self._kept[0] == rule else None
        progress = Progress(self._theta, state or training.optimizer.init(self._theta))
        key = self._key(deepcopy(self._chance))  # the next one, which stays the next one
        inputs = progress, batch, self._rate(learning_rate), key
        return explain(training, inputs, self.backend, every=detail == "all")

    def check_gradients(
        self, X: AnyArray, y: AnyArray, sample_weight: Weights = None, *, oracles: Sequence[str] = NAMES
    ) -> "GradientCheck":
        """Compare the derived gradient with gradients computed in other ways, in float64.

        ``oracles`` are some of "differences" (central), "complex step" (if every function of the
        forward pass and the loss is analytic), "torch" and "jax" (automatic differentiation of the same
        source, if they are installed). Entries at a kink, such as that of relu at 0, are not compared.
        Dropout is off.

        Returns
        -------
        GradientCheck
            ``passed``, and the errors of each parameter; prints as a table.

        Raises
        ------
        ValueError, TypeError
            As :meth:`train`, or if an oracle is unknown.

        Examples
        --------
        >>> from chainrule import NeuralNetwork
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
        >>> report = NeuralNetwork(2, 4, 1, seed=1).check_gradients(X, y, oracles=["complex step"])
        >>> report.passed
        True
        """
        from chainrule.explain.gradcheck import check_step

        data = targets.batch((X, y, sample_weight), self.architecture, self._place_for(X))
        host = (None if part is None else self.backend.to_numpy(part) for part in data)
        return check_step(self.backend.to_numpy(self._theta), Batch(*host), self.architecture, oracles)

    def program(self, batch_size: int, *, optimizer: str | Optimizer = "sgd") -> "Plan":
        """Return one training step on ``batch_size`` rows as a list of operations, without running it.

        Returns
        -------
        Plan
            ``operations``, ``matmuls``, ``flops``, ``bytes``, ``launches`` and ``peak_bytes``; prints as a
            table.

        Examples
        --------
        >>> from chainrule import NeuralNetwork
        >>> plan = NeuralNetwork(784, 100, 10).program(batch_size=200)
        >>> plan.matmuls, plan.flops
        (5, 63920000)
        """
        rows, rule = at_least(1, "batch_size", batch_size), named_optimizer(optimizer)
        return self.backend.planned(step_plan(self.architecture, rule, rows, self.dtype, named=True))

    def memory_estimate(
        self,
        batch_size: int,
        *,
        backend: BackendLike | None = None,
        optimizer: str | Optimizer = "sgd",
        streamed: bool = False,
    ) -> MemoryEstimate:
        """Return the bytes that training on batches of ``batch_size`` rows takes at its peak.

        ``backend`` is the network's own by default. The rest of the data is not counted, nor is a shorter
        last batch. ``streamed=True`` is for data that stay on the host because a CUDA device has no room for
        them: it then holds two batches at once.

        Returns
        -------
        MemoryEstimate
            Bytes of ``parameters``, ``state``, ``batch`` and ``scratch``, and their ``total``.

        Examples
        --------
        >>> from chainrule import NeuralNetwork
        >>> print(NeuralNetwork(64, 256, 10, dtype="float32").memory_estimate(256))
        parameters  307.36 kB
        state             0 B
        batch        75.78 kB
        scratch     ...
        """
        rows, rule = at_least(1, "batch_size", batch_size), named_optimizer(optimizer)
        where = backends.get(backend) or self.backend
        return Demand(self.architecture, rule, self.dtype, where, flag("streamed", streamed)).of(rows)

    def summary(self) -> "NetworkSummary":
        """Return the layers as a table: their shapes, activations and parameters, and the memory of these.

        Returns
        -------
        NetworkSummary
            Shows as a table in the terminal, and as HTML in a notebook.

        Examples
        --------
        >>> from chainrule import NeuralNetwork
        >>> NeuralNetwork(64, (128, 64), 10, loss="cross_entropy", dtype="float32").summary()
        layer  shape      activation  parameters    memory
        1      64 -> 128  sigmoid          8,320  33.28 kB
        2      128 -> 64  sigmoid          8,256  33.02 kB
        3      64 -> 10   identity           650   2.60 kB
        total                             17,226  68.90 kB
        """
        from chainrule.training.summary import NetworkSummary

        dtype = self._asked_dtype or self._theta.dtype  # asks for no backend, which the data may choose
        return NetworkSummary(self.architecture, numpy_dtype(dtype).itemsize)

    # -- its parameters --------------------------------------------------------------------------

    @property
    def layers(self) -> tuple[Dense, ...]:
        """The parameters of each layer, ``W (n_in, n_out)`` and ``b (1, n_out)``."""
        return self.architecture.layout.split(self._theta)

    def set_layer(self, number: int, *, W: AnyArray | None = None, b: AnyArray | None = None) -> None:
        """Set the parameters of layer ``number`` (from 0; -1 is the last).

        Raises
        ------
        ValueError, TypeError
            If an array is not of the layer's shape, not finite, or on another device.
        IndexError
            If there is no such layer.
        RuntimeError
            If the network is training: in another thread, or around the callback that calls this.
        """
        depth, number = self.architecture.depth, whole_number("number", number)
        problem = f"the network has {depth} layers; there is no layer {number}"
        require(-depth <= number < depth, problem, IndexError)
        with self._change():
            self._follow(W if b is None else b)
            door = self._door  # places the network, so the layers are read in its dtype
            layers = list(self.layers)
            parts = [
                old if new is None else inputs.parameter(new, tuple(old.shape), name, door)
                for new, old, name in zip((W, b), layers[number], ("W", "b"), strict=True)
            ]
            layers[number] = Dense(*parts)
            self._show(self.architecture.layout.join(layers))

    def cache(self, number: int) -> DenseCache:
        """Return ``X``, ``Z`` and ``A`` of layer ``number`` from the last :meth:`feedforward`.

        Raises
        ------
        AttributeError
            If there is nothing to read, or no such layer.
        """
        problem = "nothing to read yet: call feedforward(X) first (training does not keep its arrays)"
        caches = () if self._forward is None else self._forward.caches
        require(caches, problem, AttributeError)
        number = whole_number("number", number)
        problem = f"the network has {len(caches)} layers; there is no layer {number}"
        require(-len(caches) <= number < len(caches), problem, AttributeError)
        return caches[number]

    # -- the names of a first two-layer network ----------------------------------------------------
    # In a deeper one, the first layer is "input to hidden", the last "hidden to output", and "hidden"
    # means the last hidden layer.

    weights_input_hidden = _parameter(FIRST, "W", "``W (input_size, hidden)`` of the first layer.")
    bias_hidden = _parameter(FIRST, "b", "``b (1, hidden)`` of the first layer.")
    weights_hidden_output = _parameter(LAST, "W", "``W (hidden, output_size)`` of the last layer.")
    bias_output = _parameter(LAST, "b", "``b (1, output_size)`` of the last layer.")
    hidden_activation = _cached(
        LAST_HIDDEN, "Z", "``Z (n, hidden)``: the input of the hidden activation."
    )
    hidden_output = _cached(LAST_HIDDEN, "A", "``A (n, hidden)``: the output of the hidden activation.")
    output_activation = _cached(LAST, "Z", "``Z (n, output_size)``: the input of the output activation.")
    predicted_output = _cached(LAST, "A", "``A (n, output_size)``: the output of the last layer.")

    @staticmethod
    def sigmoid(x: Any) -> Array:
        """Return ``1 / (1 + exp(-x))``, without overflow.

        Examples
        --------
        >>> float(NeuralNetwork.sigmoid(0.0))
        0.5
        """
        return activations.sigmoid.value(np.asarray(x) if isinstance(x, int | float | list) else x)

    @staticmethod
    def sigmoid_derivative(a: Array) -> Array:
        """Return ``a (1 - a)``: the sigmoid's derivative through its own output ``a``.

        Examples
        --------
        >>> NeuralNetwork.sigmoid_derivative(0.5)
        0.25
        """
        return a * (1 - a)

    # -- its backend -----------------------------------------------------------------------------

    @property
    def backend(self) -> Backend:
        """The backend that was given, else that of the first arrays, else NumPy."""
        if self._backend is None:
            return self._place(backends.named("numpy"))
        return self._backend

    @property
    def dtype(self) -> str:
        """The dtype of the parameters and of all computation, except for training in 16 bits."""
        return self._asked_dtype or self.backend.default_dtype

    def _place(self, backend: Backend) -> Backend:
        dtype = self._asked_dtype or backend.default_dtype
        backend.check_dtype(self.architecture.compute or dtype)
        self._theta = backend.copy(backend.asarray(self._theta, dtype))
        self._backend = backend
        return backend

    def _follow(self, X: Any) -> None:
        if self._backend is None and inputs.is_device_array(X):
            self._place(backends.of(X))

    def _place_for(
        self, X: Any, batch_size: int | None = None, optimizer: Optimizer | None = None
    ) -> inputs.Door:
        """Place the network where ``X`` is, if it has no backend yet, and return its door."""
        self._follow(X)
        if self._backend is None and self._is_auto:
            from chainrule.backends.speed_map.automatic import pick

            rows = min(batch_size or inputs.count(X), inputs.count(X))
            self._place(pick(self.architecture, optimizer or sgd(), rows, self._asked_dtype))
        return self._door

    @property
    def _door(self) -> inputs.Door:
        return inputs.Door(self.backend, self.dtype)

    # -- arguments -------------------------------------------------------------------------------

    def _rows(self, given: Sequence[Any], door: inputs.Door, batch_size: int | None) -> TrainingRows:
        """Return ``(X, y, sample_weight)``, checked, to be used in batches; a stream as windows of its rows."""
        if isinstance(given[0], TrainingRows):
            return given[0]
        if is_stream(*given[:2]):
            return Windows(as_stream(*given), self.architecture, door, batch_size)
        door = door.wide(given[0], self.architecture.sizes)
        return TrainingRows(targets.batch(given, self.architecture, door))

    def _validation(self, validation_data: Data, door: inputs.Door) -> TrainingRows:
        """Return the rows to validate on."""
        try:
            return self._rows(targets.validation(validation_data), door, 1)
        except (TypeError, ValueError) as error:
            msg = f"validation_data: {error}"
            raise type(error)(msg) from None

    def _rate(self, learning_rate: float | Schedule) -> Array:
        return self.backend.asarray(schedule(learning_rate)(0.0, 1), self.dtype)  # ()

    def _key(self, chance: Chance) -> Array | None:
        """Return the dropout key of the next step."""
        if not self.architecture.dropout:
            return None
        return self.backend.asarray(chance.keys(1)[0], "int32")  # ()

    # -- saving ----------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        # For pickle and copy: the parameters on the host, without the arrays of the last feedforward.
        state = self.__dict__ | {"_forward": None}
        del state["_changing"]
        if self._backend is not None:
            host = self._backend.to_numpy
            state["_theta"] = host(self._theta)  # (P,)
            state["_kept"] = self._kept and (
                self._kept[0],
                record_like(self._kept[1], map(host, self._kept[1])),
            )
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_changing": {}}
        if self._backend is not None:
            backend = self._place(self._backend)
            if self._kept is not None:
                rule, arrays = self._kept
                moved = (backend.copy(backend.asarray(a, self.dtype)) for a in arrays)
                self._kept = rule, record_like(arrays, moved)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the parameters, the architecture and the metadata to a safetensors file.

        The parameters are written as host arrays, so the file loads on any backend. Its name ends in
        ``.safetensors`` or has no suffix.

        Raises
        ------
        ValueError
            If the name has another suffix, or an activation or the loss is one of your own: a file holds no
            code, only names.
        """
        from chainrule.saving import models

        theta = self.backend.to_numpy(self._theta)
        dtype = self.architecture.compute or self.dtype
        models.write(path, theta, self.architecture, dtype, self.metadata)

    def to_onnx(self, path: str | PathLike[str]) -> None:
        """Write what :meth:`predict` computes to an ONNX file, for any number of rows (extra ``onnx``).

        The input ``X (rows, input_size)`` and the output ``prediction (rows, output_size)`` have the dtype of
        the network. Activations and losses of your own are written as well.

        For a network that ``chainrule train`` made, the scaler and the labels are inside: ``X`` holds the
        numbers of the table, in float64, in the order of the features, which the file's metadata lists;
        ``prediction`` holds probabilities, or values in the units of the target, and ``label (rows,)`` classes.

        Raises
        ------
        ImportError
            If onnx is not installed.
        ValueError
            If the name has another suffix than ``.onnx``, the weights take more than 2 GiB, or an activation
            uses a function for which ONNX has no operator, depends on the number of rows or is constant.
        TypeError
            If an activation cannot be traced.
        """
        from chainrule.saving import onnx

        onnx.write(path, self.backend.to_numpy(self._theta), self.architecture, self.metadata)

    @classmethod
    def load(
        cls, path: str | PathLike[str], backend: BackendLike | None = None, dtype: str | None = None
    ) -> Self:
        """Return the network that :meth:`save` wrote, by default in the dtype of the file.

        The backend is chosen as for a new network.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is not a model of this package, or its arrays do not fit together.
        """
        from chainrule.saving import models

        theta, arguments, metadata = models.read(path, dtype)
        net = cls(**arguments, backend=backend, seed=0)
        net.metadata, net._theta = metadata, theta
        if net._backend is not None:
            net._place(net._backend)
        return net


Run = tuple[NeuralNetwork, tasks.Task, tasks.Settings]


def _fit(
    runs: Sequence[Run], shown: Display, threads: int = 1, *, resume: bool = False
) -> list[History]:
    """Train networks, and keep the weights of each even if an error ends its training."""
    from chainrule.explain.closing import closing_line

    members = []
    for net, task, settings in runs:
        demand, rows = net._demand(task, settings)
        demand.check(rows)
        rule = settings.optimizer.name, dict(settings.optimizer.settings)
        state = net._kept[1] if resume and net._kept and net._kept[0] == rule else None
        members.append(tasks.Member(net._theta, task, settings, net._chance, state))
    with Interrupts():  # until the weights are kept
        try:
            outcomes = fit(members, shown, threads)
        except MemoryError as error:
            raise MemoryError(demand.used_up(rows)) from error
        for (net, _, _), outcome in zip(runs, outcomes, strict=True):
            net._show(outcome.theta)
    for (net, task, settings), member, outcome in zip(runs, members, outcomes, strict=True):
        net._kept = (rule, outcome.state) if resume and outcome.state is not None else None
        if line := closing_line(member.theta, task, settings, outcome):
            outcome.history.notes += (line,)
            shown.note(line)
    return [outcome.history for outcome in outcomes]


def train_many(
    networks: Sequence[NeuralNetwork],
    X: Any,
    y: Any,
    epochs: int,
    learning_rate: float | Schedule | Sequence[float | Schedule] = 0.1,
    *,
    batch_size: int | None = None,
    shuffle: bool = True,
    optimizer: str | Optimizer = "sgd",
    sample_weight: Any = None,
    validation_data: Data | None = None,
    early_stopping: int | bool | None = None,
    compile: bool = True,
    threads: int | None = None,
    executor: "Executor | None" = None,
    pack_size: int = 8,
) -> list[History]:
    """Train networks of equal sizes on the same samples, and return the history of each.

    Each ends with the bits of ``networks[k].train(..., threads=1)``, on any number of threads and workers. On NumPy with the
    extra ``jit`` each thread runs whole members in native code; JAX maps over them in one compiled loop; on CuPy each
    small network is a block of one kernel. Elsewhere they train one after the other, and ``history.notes`` says so.

    Parameters
    ----------
    networks
        Of equal sizes, activations, loss, dtype and backend. They may differ in seed and weights, ``dropout``,
        ``weight_decay`` and ``clip_norm``.
    X, y, epochs, batch_size, shuffle, optimizer, compile
        As in :meth:`NeuralNetwork.train`. Each network draws its own order of the rows and its own dropout.
    learning_rate
        One for all, or a sequence with one for each network.
    sample_weight
        ``(n,)``, or ``(K, n)`` with a row for each of the K networks: 0 leaves a sample out of a fold, 2 takes it twice.
    validation_data
        Held-out data ``(X, y)`` or ``(X, y, sample_weight)``, whose weights may have a row for each network too.
    early_stopping
        As in :meth:`NeuralNetwork.train`, for each network by itself: one that stops is left as it is.
    threads
        How many share the networks; by default ``CHAINRULE_THREADS``, else one for each core.
    executor
        Any ``concurrent.futures.Executor``, such as a ``ProcessPoolExecutor``, or those of ``mpi4py.futures`` and
        Dask: its workers train packs of networks, each in one thread unless ``threads`` is given. A pack whose worker
        dies is sent again, twice at most.
    pack_size
        How many networks are sent at once; each pack is sent with X and y.

    Returns
    -------
    list of History
        One for each network. If the loss of a network stops being finite, it keeps its last finite weights, its history
        has the error as ``error``, and a warning says so; the others train on. Ctrl-C ends all as it ends ``train``.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described here, or the networks differ in what they must share.
    RuntimeError
        If one of the networks is training already, or workers died three times with the same pack.

    Examples
    --------
    >>> nets = [NeuralNetwork(1, 8, 1, activation="tanh", loss="mean_squared_error", seed=k) for k in range(3)]
    >>> X, y = [[0.0], [0.5], [1.0]], [[0.0], [0.25], [1.0]]
    >>> histories = train_many(nets, X, y, epochs=400, learning_rate=[0.05, 0.1, 0.2])
    >>> [round(history.record(-1).loss, 3) for history in histories]
    [0.014, 0.014, 0.013]
    """
    networks, is_list = list(networks), isinstance(learning_rate, Sequence | np.ndarray)
    problem = "networks holds none, or one of them twice; give several, or copies (copy.deepcopy)"
    require(len({*map(id, networks)}) == len(networks) > 0, problem)
    problem = (
        f"executor is {quoted(executor)}; give one of concurrent.futures, such as ProcessPoolExecutor(4)"
    )
    require(executor is None or hasattr(executor, "submit"), problem)
    rates = _of_each("learning_rate", learning_rate, networks, is_list=is_list)
    settings = tasks.Settings(
        epochs=at_least(1, "epochs", epochs),
        batch_size=None if batch_size is None else at_least(1, "batch_size", batch_size),
        schedule=schedule(rates[0]),
        optimizer=named_optimizer(optimizer),
        patience=tasks.patience(early_stopping),
        shuffle=flag("shuffle", shuffle),
        compiled=flag("compile", compile),
        threads=1,
    )
    pack_size, threads = at_least(1, "pack_size", pack_size), machine.asked_threads(threads)
    held_out = None if validation_data is None else targets.validation(validation_data)
    with ExitStack() as stack:
        for net in networks:
            net._place_for(X, batch_size, settings.optimizer)
        _check_alike(networks)
        for net in networks:
            stack.enter_context(net._change())
        batches = _batches((X, y, sample_weight), networks)
        validation = [None] * len(networks) if held_out is None else _batches(held_out, networks)
        runs = [
            (
                net,
                tasks.Task(net.architecture, net.backend, data, part),
                replace(settings, schedule=schedule(rate)),
            )
            for net, data, part, rate in zip(networks, batches, validation, rates, strict=True)
        ]
        if executor is None:
            histories = _fit(runs, Display(), threads or machine.cores())
        else:
            histories = _send(executor, runs, pack_size, threads or 1)
    for number, history in enumerate(histories):
        if isinstance(history.error, tasks.DivergedError):
            warnings.warn(f"networks[{number}]: {history.error}", RuntimeWarning, stacklevel=2)
        elif history.error is not None:
            raise history.error
    return histories


def _check_alike(networks: Sequence[NeuralNetwork]) -> None:
    """Raise ``ValueError`` unless networks are alike in what they share."""
    for number, net in enumerate(networks):
        kinds, texts = [], []
        for each in (networks[0], net):
            alike = replace(each.architecture, dropout=0.0, weight_decay=0.0, clip_norm=None)
            kinds.append((alike, each.backend, each.dtype))
            texts.append(f"{each!r} in {each.dtype} on {each.backend.describe()}")
        problem = (
            f"networks[0] is {texts[0]}, networks[{number}] is {texts[1]}; they may differ in seed, weights, "
            "dropout, weight_decay and clip_norm alone"
        )
        require(kinds[0] == kinds[1], problem)


def _batches(given: Sequence[Any], networks: Sequence[NeuralNetwork]) -> list[TrainingRows]:
    """Return ``(X, y, sample_weight)``, checked, as the batch of each network, which share X and y."""
    (X, y, weights), net = given, networks[0]
    problem = "train_many reads no streams; give arrays"
    require(not is_stream(X, y), problem)
    door = net._door.wide(X, net.architecture.sizes)
    data = targets.batch((X, y, None), net.architecture, door)
    if weights is None:
        return [TrainingRows(data)] * len(networks)
    weights = inputs.numbers(weights, "sample_weight", door.backend)  # (n,), (n, 1) or (K, n)
    is_list = len(weights.shape) == 2 and weights.shape[1] != 1
    return [
        TrainingRows(data._replace(weights=targets.sample_weights(own, data.X.shape[0], door)))
        for own in _of_each("sample_weight", weights, networks, is_list=is_list)
    ]


def _of_each(name: str, given: Any, networks: Sequence[NeuralNetwork], *, is_list: bool) -> list[Any]:
    """Return one value for each network: its entry of a list, or the value given for all."""
    if not is_list:
        return [given] * len(networks)
    problem = f"{name} has length {len(given)} but there are {len(networks)} networks; give one for each, or one for all"
    require(len(given) == len(networks), problem)
    return [given[number] for number in range(len(networks))]


def _send(executor: "Executor", runs: Sequence[Run], pack_size: int, threads: int) -> list[History]:
    """Have the workers of an executor train networks, and take over what comes back."""
    from chainrule.training.executors import scatter

    histories = [History(task.net.loss.reported_name, interrupted=True) for _, task, _ in runs]
    firsts = range(0, len(runs), pack_size)
    packs = [(runs[first : first + pack_size], threads) for first in firsts]
    for number, answer in scatter(executor, _work, packs):
        for place, (trained, history) in enumerate(answer, start=firsts[number]):
            runs[place][0].__setstate__(trained.__getstate__())
            histories[place] = history
    return histories


def _work(pack: tuple[Sequence[Run], int]) -> list[tuple[NeuralNetwork, History]]:
    """Return the networks of a pack, trained in a worker, and their histories."""
    runs, threads = pack
    histories = _fit(runs, Display(), threads)
    return [(net, history) for (net, _, _), history in zip(runs, histories, strict=True)]
