"""The network: :class:`NeuralNetwork` and :func:`train_many`.

The class holds the parameters and the backend; its methods call functions of the other modules.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from chainrule.mathematics.naming import quoted, require, suggesting
from chainrule.mathematics.optimizers import Optimizer, State, sgd
from chainrule.mathematics.optimizers import optimizer as named_optimizer
from chainrule.mathematics.schedules import Schedule, schedule
from chainrule.mathematics.step import Forward, Progress, TrainingStep, forward, step
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
Large = PathLike[str] | Stream | Iterable[Any]  # data that are read during training
BackendLike = str | Backend | ModuleType
# The name and settings of an optimizer, and its state.
Kept = tuple[tuple[str, dict[str, Any]], State]

FIRST, LAST_HIDDEN, LAST = 0, -2, -1  # layers
# Names of methods in other libraries, and the methods here.
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
    input_size, output_size : int
        The number of features and of outputs.
    hidden_size : int or sequence of int
        The width of the hidden layer, or of each; ``()`` for no hidden layer.
    activation : str, Activation, or a sequence of them
        The activation of the hidden layers: one for all, or one for each.
    output_activation : str or Activation, optional
        The activation of the last layer. Default: sigmoid for ``squared_error``, identity for the other losses.
    loss : str or Loss
        "squared_error" (half the sum over the batch), "mean_squared_error", "half_squared_error" (per sample, averaged
        over samples), "binary_cross_entropy", "multilabel_cross_entropy" (the same, summed over outputs),
        "cross_entropy" (these three take logits), "poisson" (takes logarithms), or your own.
    initializer : str or function, optional
        How weights are drawn: "standard_normal", "glorot_uniform", "he_normal", or a function. The default depends on
        the activation.
    bias_initializer : str or function
        "zeros"; "uniform" over ±1/sqrt(n_in), as in PyTorch; or a function.
    dropout : float
        The probability of dropping each hidden unit in training.
    weight_decay : float
        The lambda of the penalty ``lambda/2 sum W²``.
    clip_norm : float, optional
        The largest norm of the gradient of all parameters; a larger gradient is scaled down to it.
    backend : str, Backend or module, optional
        A name ("numpy", "cupy:0", "torch:cuda", "jax") or an Array API namespace. Default: ``CHAINRULE_BACKEND`` if it
        is set, else the library of the first arrays that are given. "auto" picks the backend that measured fastest on this
        machine (``chainrule bench recommend``) for this network and batch size, unless those arrays are on a device;
        the choice is logged.
    dtype : str, optional
        "float32" or "float64"; by default the widest that the backend supports. With "float16" or "bfloat16", training
        multiplies in 16 bits and keeps the weights in float32 (:mod:`chainrule.mathematics.precision`).
    seed : int, optional
        The same seed gives the same initial weights, batches and dropout masks on every backend. ``None`` uses
        NumPy's global state (``numpy.random.seed``).

    Attributes
    ----------
    architecture : Architecture
        Sizes, activations, loss, dropout, weight decay and clipping.
    metadata : dict
        Facts that are saved with the model (labels, a scaler, ...), of types that JSON has.

    Raises
    ------
    ValueError, TypeError
        If a name is unknown or a number is outside its range.
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

    @suggesting
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
        self._kept: Kept | None = None  # the state to continue from
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
            return super().__getattribute__(name)  # raises the usual error, or a property's error

    def __repr__(self) -> str:
        net = self.architecture
        return f"NeuralNetwork({net}, {net.loss.name}, {net.layout.total:,} parameters)"

    # -- forward, backward, training -------------------------------------------------------------------------

    def feedforward(self, X: AnyArray) -> Array:
        """Return the outputs of the last layer, and keep the arrays of all layers.

        For a loss that takes logits, the outputs are logits; :meth:`predict` returns probabilities.

        Parameters
        ----------
        X : array
            ``(n, input_size)``.

        Returns
        -------
        array
            ``A (n, output_size)``, on the network's backend.

        Raises
        ------
        ValueError, TypeError
            If X is not ``(n, input_size)`` finite real numbers, on the host or on the network's device.
        """
        X = inputs.features(X, self.architecture.sizes[0], self._place_for(X))
        with self.backend.quiet():
            self._forward = forward(self._theta, X, self.architecture)
        return self._forward.A

    def backward(self, X: AnyArray, y: AnyArray, learning_rate: float = 0.1) -> None:
        """Take one step of gradient descent on all rows of X and y: ``W <- W - learning_rate dL_dW``, likewise b.

        It includes the forward pass, so :meth:`feedforward` need not be called before it.

        Parameters
        ----------
        X : array
            ``(n, input_size)``.
        y : array
            Targets, as in :meth:`train`.
        learning_rate : float
            The step size.

        Raises
        ------
        ValueError, TypeError
            As in :meth:`train`.
        RuntimeError
            If the network is being trained, by another thread or by the caller of this callback.
        """
        with self._change():
            data = targets.batch((X, y, None), self.architecture, self._place_for(X))
            rate, key = self._rate(learning_rate), self._key(self._chance)
            with self.backend.quiet():
                start = Progress(self._theta, ())
                self._theta = step(start, data, rate, key, self.architecture, sgd())[0].theta

    @suggesting
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
        """Train on X and y, and return the history.

        Parameters
        ----------
        X, y : array
            The samples ``(n, input_size)`` and their targets ``(n, output_size)``; for ``cross_entropy``, y may be labels
            ``(n,)`` from 0. They are not modified. For data larger than memory, X is a Parquet file, a folder of Parquet files
            or record batches, and y is the name of a column; or X is a :class:`~chainrule.data.streams.Stream` and y is ``None``.
        epochs : int
            The number of passes over all rows.
        learning_rate : float or Schedule
            A number, or a schedule from :mod:`chainrule.mathematics.schedules`.
        batch_size : int, optional
            The number of rows in a step. Default: all rows.
        shuffle : bool
            Whether each epoch draws its batches in a new random order.
        optimizer : str or Optimizer
            "sgd", "momentum", "nesterov", "adam", "adamw", or an ``Optimizer``. Its state starts from zero
            unless ``resume=True``.
        sample_weight : array, optional
            ``(n,)``: multiplies the loss of each sample.
        validation_data : tuple, optional
            Held-out data ``(X, y)`` or ``(X, y, sample_weight)``.
        validation_fraction : float, optional
            The share of the rows to hold out instead, drawn with the seed.
        early_stopping : int or bool, optional
            The number of epochs without a smaller loss (on the held-out data, if there are any) after which training
            stops and the best weights are restored; ``True`` is 10.
        callbacks : sequence of functions
            Each is called with the ``Record`` of each epoch; if one returns ``True``, training ends. During the call the
            network has the weights of that epoch: it can be read, saved and copied, but not changed.
        progress : bool, optional
            ``True`` shows a bar on a terminal, else lines, on standard error. ``False`` shows nothing. By default, runs on all rows
            without held-out data that have ``print_every`` epochs or more print ``Epoch 0, Loss:0.26`` every ``print_every``
            epochs on standard output; other runs show the bar.
        print_every : int
            See ``progress``.
        compile : bool
            ``False`` runs the step as written, on any backend.
        threads : int, optional
            The number of CPU threads. Default: ``CHAINRULE_THREADS``, else the number of cores.
        ranks : str, Group or mpi4py communicator, optional
            With "mpi", the processes that ``mpiexec`` started train this network together, each on its rows of every
            batch (:mod:`chainrule.ranks`). "mpi:tree" gives the same bits on 1, 2, 4 and 8 processes. Default: ``CHAINRULE_RANKS``,
            else "alone". Only rank 0 prints, writes and calls the callbacks. All ranks are given the same data; each reads only
            its own blocks of a stream (with "mpi:tree", all blocks).
        sharded : bool
            ``True`` if the data given on each rank are its own rows, which no other rank has; this includes held-out data.
        resume : bool
            ``True`` continues from the optimizer's state (such as Adam's moments) that the previous call kept, if the optimizer is
            the same, and keeps it again. With ``checkpoint``, it continues the run in that folder and ends with the same bits
            as an uninterrupted run; without a checkpoint in the folder, the run starts from the beginning.
        checkpoint : str or path, optional
            A folder for checkpoints of this run only: weights, optimizer, random draws and history. Ctrl-C also
            writes one. The last three are kept.
        checkpoint_seconds, checkpoint_epochs : float, int
            How often to write a checkpoint: after this many seconds, also within an epoch, and after this many epochs.

        Returns
        -------
        History
            A record for each epoch. After Ctrl-C, training ends with the current step, and after a second Ctrl-C at once;
            the weights learned so far are kept, and ``history.interrupted`` is true.

        Raises
        ------
        ValueError, TypeError
            If an argument is not as described here, the ranks differ in settings or data, or the run to continue had
            other settings, which are named. The weights are not changed.
        OSError
            If no checkpoint can be written at the start, another run uses the folder, or it contains a run and
            ``resume`` is false. If a later checkpoint fails, a line is printed and training continues.
        RuntimeError
            If the network is being trained, by another thread or by the caller of this callback.
        MemoryError
            If a step does not fit into memory; the message has the largest batch size that fits.
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
        facts = {  # they decide which messages the ranks send
            "seed": self._chance.seed,
            "sharded": own,
            "checkpoint": folder is not None,
            "data": "a stream" if is_stream(X, y) else "arrays",
            "validation_data": validation_data is not None,
            "validation_fraction": validation_fraction,
        }
        group.check_alike(facts)
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
            if own:  # the other ranks may have all rows
                door = door._replace(fewest=0)
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
        """Return the memory that training needs, and the number of rows in a batch."""
        rows, streamed = max(1, len(task.data)), self.backend.streams(task.data.data.X)
        batch_rows = min(settings.batch_size or rows, rows)
        steps = settings.epochs * -(-rows // batch_rows)
        what = self.architecture, settings.optimizer, self.dtype, self.backend
        return Demand(*what, streamed, settings.compiled, steps, settings.threads), batch_rows

    def _state(self, rule: Optimizer) -> State | None:
        """Return the state that the last training kept, if it had this optimizer."""
        kept, state = self._kept or (None, None)
        return state if kept == (rule.name, dict(rule.settings)) else None

    def _show(self, theta: Array) -> None:
        """Set the parameters ``theta (P,)``, and drop the arrays of the last feedforward."""
        self._theta, self._forward = theta, None

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Hold the lock of the parameters, or raise if another call holds it."""
        # One lock per process: a forked child has no thread that could release its parent's lock.
        lock = self._changing.setdefault(os.getpid(), Lock())
        problem = "the network is training; change it after train has returned, or change a copy.deepcopy of it"
        require(lock.acquire(blocking=False), problem, RuntimeError)
        try:
            yield
        finally:
            lock.release()

    # -- predictions -----------------------------------------------------------------------------

    def predict(self, X: AnyArray, *, logits: bool = False) -> Array:
        """Return predictions; probabilities if the loss takes logits.

        X may have any number of rows: predictions are computed in blocks. Small probabilities are precise: for a logit of -20
        in float32, this method returns 2e-9 where the sigmoid of :meth:`feedforward` rounds to 0.

        Parameters
        ----------
        X : array
            ``(n, input_size)``.
        logits : bool
            ``True`` returns the outputs of the last layer, which are logits for losses that take them.

        Returns
        -------
        array
            ``(n, output_size)``, on the network's backend.

        Raises
        ------
        ValueError, TypeError
            As in :meth:`feedforward`.
        """
        net, door = self.architecture.predicting, self._place_for(X)
        with self.backend.quiet():
            A = self._outputs(inputs.matrix(X, net.sizes[0], door), net, door)  # (n, n_out)
            return A if flag("logits", logits) else net.loss.link(A)

    def _outputs(self, X: Any, net: Architecture, door: inputs.Door) -> Array:
        """Return the outputs ``(n, n_out)`` of the last layer for the rows of a checked matrix."""
        # Each (some, n_out).
        parts = [outputs(self._theta, part, net, self.backend) for part in inputs.blocks(X, door)]
        return parts[0] if len(parts) == 1 else self.backend.xp.concat(parts, axis=0)

    def predict_classes(self, X: AnyArray) -> Array:
        """Return the most likely class of each row.

        Parameters
        ----------
        X : array
            ``(n, input_size)``.

        Returns
        -------
        array
            ``(n,)``, int64: the number of the class; with one output, 0 or 1.

        Raises
        ------
        ValueError, TypeError
            As in :meth:`feedforward`.
        """
        P = self.predict(X)  # (n, n_out)
        xp = namespace(P)
        with self.backend.quiet():
            if P.shape[-1] > 1:
                return xp.argmax(P, axis=-1)  # (n,)
            return xp.astype(xp.reshape(P, (-1,)) > 0.5, xp.int64)  # (n,)

    def evaluate(self, X: AnyArray, y: AnyArray, sample_weight: Weights = None) -> Score:
        """Return the loss on the scale that training reports, and for classes the accuracy.

        Parameters
        ----------
        X, y, sample_weight : array
            As in :meth:`train`. The weights count in the loss; in the accuracy all samples count the same.

        Returns
        -------
        Score
            ``loss``, a float; ``accuracy``, from 0 to 1, or ``None`` if the targets are not classes.

        Raises
        ------
        ValueError, TypeError
            As in :meth:`train`.
        """
        net, door = self.architecture, self._place_for(X)
        X = inputs.matrix(X, net.sizes[0], door)
        data = targets.with_targets(X, y, sample_weight, net, door.wide(X, net.sizes))
        with self.backend.quiet():
            return score(self._outputs(X, net, door), data, net, self.backend)

    # -- one step in detail ----------------------------------------------------------------------

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
            Settings of the step. The optimizer continues from the state that ``train(resume=True)`` left, if
            that had the same optimizer; otherwise it starts from its initial state.
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
        state = self._state(training.optimizer) or training.optimizer.init(self._theta)
        progress = Progress(self._theta, state)
        key = self._key(deepcopy(self._chance))  # from a copy, so that the next step still has this key
        inputs = progress, batch, self._rate(learning_rate), key
        return explain(training, inputs, self.backend, every=detail == "all")

    def check_gradients(
        self, X: AnyArray, y: AnyArray, sample_weight: Weights = None, *, oracles: Sequence[str] = NAMES
    ) -> "GradientCheck":
        """Compare the derived gradient with gradients that are computed in other ways, in float64.

        Dropout is off. Entries at a kink, such as that of relu at 0, are not compared.

        Parameters
        ----------
        X, y, sample_weight : array
            As in :meth:`train`.
        oracles : sequence of str
            Some of "differences" (central), "complex step" (if every function of the forward pass and the loss is analytic),
            "torch" and "jax" (automatic differentiation of the same source, if installed).

        Returns
        -------
        GradientCheck
            ``passed``, and the errors of each parameter; prints as a table.

        Raises
        ------
        ValueError, TypeError
            As in :meth:`train`, or if an oracle is unknown.

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
        theta, data = self.backend.to_numpy(self._theta), data.map(self.backend.to_numpy)
        return check_step(theta, data, self.architecture, oracles)

    def program(self, batch_size: int, *, optimizer: str | Optimizer = "sgd") -> "Plan":
        """Return one training step as a list of operations, without running it.

        Parameters
        ----------
        batch_size : int
            The number of rows in the step.
        optimizer : str or Optimizer
            As in :meth:`train`.

        Returns
        -------
        Plan
            ``operations``, ``matmuls``, ``flops``, ``bytes``, ``launches`` and ``peak_bytes``; prints as a
            table.

        Raises
        ------
        ValueError, TypeError
            If ``batch_size`` is not a whole number of 1 or more, or the optimizer is unknown.

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
        """Return the peak memory of training on batches of ``batch_size`` rows, in bytes.

        It includes neither the other rows of the data nor a smaller last batch.

        Parameters
        ----------
        batch_size : int
            The number of rows in a step.
        backend : str, Backend or module, optional
            The default is the backend of the network.
        optimizer : str or Optimizer
            As in :meth:`train`.
        streamed : bool
            ``True`` if the data stay on the host because a CUDA device has no room for them. The device then holds two
            batches at once.

        Returns
        -------
        MemoryEstimate
            Bytes of ``parameters``, ``state``, ``batch`` and ``scratch``, and their ``total``.

        Raises
        ------
        ValueError, TypeError
            If an argument is not as described here.

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
        """Return a table of the layers: shapes, activations, number of parameters, and their memory.

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

        # Not with ``backend``: the data may still choose it.
        dtype = self._asked_dtype or self._theta.dtype
        return NetworkSummary(self.architecture, numpy_dtype(dtype).itemsize)

    # -- its parameters --------------------------------------------------------------------------

    @property
    def layers(self) -> tuple[Dense, ...]:
        """The parameters of each layer, ``W (n_in, n_out)`` and ``b (1, n_out)``."""
        return self.architecture.layout.split(self._theta)

    def set_layer(self, number: int, *, W: AnyArray | None = None, b: AnyArray | None = None) -> None:
        """Set the parameters of a layer.

        Parameters
        ----------
        number : int
            The layer, from 0; -1 is the last.
        W, b : array, optional
            ``(n_in, n_out)`` and ``(1, n_out)``. What is not given stays.

        Raises
        ------
        ValueError, TypeError
            If an array does not have the shape of the layer, is not finite, or is on another device.
        IndexError
            If there is no such layer.
        RuntimeError
            If the network is being trained, by another thread or by the caller of this callback.
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
        """Return the arrays of a layer that the last :meth:`feedforward` computed.

        Parameters
        ----------
        number : int
            The layer, from 0; -1 is the last.

        Returns
        -------
        DenseCache
            ``X (n, n_in)``, ``Z (n, n_out)`` and ``A (n, n_out)``.

        Raises
        ------
        AttributeError
            If :meth:`feedforward` was not called, or there is no such layer.
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
    hidden_activation = _cached(LAST_HIDDEN, "Z", "``Z (n, hidden)``: input of the hidden activation.")
    hidden_output = _cached(LAST_HIDDEN, "A", "``A (n, hidden)``: output of the hidden activation.")
    output_activation = _cached(LAST, "Z", "``Z (n, output_size)``: input of the output activation.")
    predicted_output = _cached(LAST, "A", "``A (n, output_size)``: output of the last layer.")

    @staticmethod
    def sigmoid(x: Any) -> Array:
        """Return ``1 / (1 + exp(-x))``, without overflow.

        Parameters
        ----------
        x : float or array
            Array of any shape.

        Returns
        -------
        array
            Array of the shape of ``x``.

        Examples
        --------
        >>> float(NeuralNetwork.sigmoid(0.0))
        0.5
        """
        return activations.sigmoid.value(np.asarray(x) if isinstance(x, int | float | list) else x)

    @staticmethod
    def sigmoid_derivative(a: Array) -> Array:
        """Return ``a (1 - a)``: the derivative of the sigmoid, computed from its output.

        Parameters
        ----------
        a : float or array
            The output of the sigmoid.

        Returns
        -------
        float or array
            Array of the shape of ``a``.

        Examples
        --------
        >>> NeuralNetwork.sigmoid_derivative(0.5)
        0.25
        """
        return a * (1 - a)

    # -- its backend -----------------------------------------------------------------------------

    @property
    def backend(self) -> Backend:
        """The backend: the one that was chosen, else that of the first arrays, else NumPy."""
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
        """Place the network where X is, if it has no backend yet, and return its backend and dtype."""
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
        """Return ``(X, y, sample_weight)``, checked, as the rows of batches; a stream as windows of its rows."""
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
            state["_theta"] = self._backend.to_numpy(self._theta)  # (P,)
            state["_kept"] = _mapped(self._backend.to_numpy, self._kept)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_changing": {}}
        if self._backend is not None:
            backend, dtype = self._place(self._backend), self.dtype
            self._kept = _mapped(lambda a: backend.copy(backend.asarray(a, dtype)), self._kept)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the parameters, the architecture and the metadata to a safetensors file.

        The file loads on any backend. If it cannot be written, an existing file of that name is unchanged.

        Parameters
        ----------
        path : str or path
            A name that ends in ``.safetensors`` or has no suffix.

        Raises
        ------
        ValueError
            If the name has another suffix, or an activation or the loss is your own: a file contains
            names, not code.
        """
        from chainrule.saving import models

        theta = self.backend.to_numpy(self._theta)
        dtype = self.architecture.compute or self.dtype
        models.write(path, theta, self.architecture, dtype, self.metadata)

    def to_onnx(self, path: str | PathLike[str]) -> None:
        """Write what :meth:`predict` computes to an ONNX file, for any number of rows (extra ``onnx``).

        The input ``X (rows, input_size)`` and the output ``prediction (rows, output_size)`` have the dtype of
        the network. Your own activations and losses are included.

        For a network of ``chainrule train``, the scaler and the labels are included: ``X`` contains the
        numbers of the table, in float64, in the order of the features, which the file's metadata lists;
        ``prediction`` contains probabilities, or values in the units of the target, and ``label (rows,)`` classes.

        Parameters
        ----------
        path : str or path
            A name that ends in ``.onnx``.

        Raises
        ------
        ImportError
            If onnx is not installed.
        ValueError
            If the name has another suffix, the weights take more than 2 GiB, or an activation
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
        """Return the network that :meth:`save` wrote.

        Parameters
        ----------
        path : str or path
            The file.
        backend : str, Backend or module, optional
            As for a new network.
        dtype : str, optional
            The default is the file's.

        Returns
        -------
        NeuralNetwork
            A network with the parameters and the metadata of the file.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is not a model of this package, or its arrays do not match.
        """
        from chainrule.saving import models

        theta, arguments, metadata = models.read(path, dtype)
        net = cls(**arguments, backend=backend, seed=0)
        net.metadata, net._theta = metadata, theta
        if net._backend is not None:
            net._place(net._backend)
        return net


def _mapped(function: Callable[[Any], Any], kept: Kept | None) -> Kept | None:
    """Return a state that is kept, with ``function`` of each of its arrays."""
    return None if kept is None else (kept[0], record_like(kept[1], map(function, kept[1])))


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
        state = net._state(settings.optimizer) if resume else None
        members.append(tasks.Member(net._theta, task, settings, net._chance, state))
    with Interrupts():  # until the weights are kept
        try:
            outcomes = fit(members, shown, threads)
        except MemoryError as error:
            raise MemoryError(demand.used_up(rows)) from error
        for (net, _, _), outcome in zip(runs, outcomes, strict=True):
            net._show(outcome.theta)
    for (net, task, settings), member, outcome in zip(runs, members, outcomes, strict=True):
        rule, state = settings.optimizer, outcome.state if resume else None
        net._kept = None if state is None else ((rule.name, dict(rule.settings)), state)
        if line := closing_line(member.theta, task, settings, outcome):
            outcome.history.notes += (line,)
            shown.note(line)
    return [outcome.history for outcome in outcomes]


@suggesting
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

    Each network ends with the bits of ``networks[k].train(..., threads=1)``, for any number of threads and workers. On NumPy with
    the extra ``jit``, each thread trains whole networks in native code; JAX maps over them in one compiled loop; on CuPy each
    small network is a block of one kernel. Elsewhere they train one after the other, with a line in ``history.notes``.

    Parameters
    ----------
    networks : sequence of NeuralNetwork
        Networks of equal sizes, activations, loss, dtype and backend. They may differ in seed and weights, ``dropout``,
        ``weight_decay`` and ``clip_norm``.
    X, y, epochs, batch_size, shuffle, optimizer, compile
        As in :meth:`NeuralNetwork.train`. Each network draws its own order of the rows and its own dropout.
    learning_rate : float, Schedule, or a sequence of them
        One for all networks, or one for each.
    sample_weight : array, optional
        ``(n,)``, or ``(K, n)`` with a row for each of the K networks: 0 leaves a sample out of a fold, 2 counts it twice.
    validation_data : tuple, optional
        Held-out data ``(X, y)`` or ``(X, y, sample_weight)``, whose weights may also have a row for each network.
    early_stopping : int or bool, optional
        As in :meth:`NeuralNetwork.train`, for each network separately.
    threads : int, optional
        The number of threads that share the networks. Default: ``CHAINRULE_THREADS``, else the number of cores.
    executor : concurrent.futures.Executor, optional
        Its workers train packs of networks, each in one thread unless ``threads`` is given: a ``ProcessPoolExecutor``, or
        an executor of ``mpi4py.futures`` or Dask. If a process of a pool dies, the remaining packs run in this process.
    pack_size : int
        The number of networks in a pack; each pack is sent with X and y.

    Returns
    -------
    list of History
        One for each network. If the loss of a network stops being finite, it keeps its last finite weights, the error is in
        ``history.error``, and a warning is shown; the other networks continue. Ctrl-C ends all, as it ends ``train``.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described here, or the networks differ in what they must share.
    RuntimeError
        If one of the networks is being trained already.

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
        f"executor is {quoted(executor)}; give one of concurrent.futures, as ProcessPoolExecutor(4)"
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
        runs = []
        for net, data, part, rate in zip(networks, batches, validation, rates, strict=True):
            task = tasks.Task(net.architecture, net.backend, data, part)
            runs.append((net, task, replace(settings, schedule=schedule(rate))))
        if executor is None:
            histories = _fit(runs, Display(), threads or machine.cores())
        else:
            histories = _send(executor, runs, pack_size, threads or 1)
    for number, history in enumerate(histories):
        if isinstance(history.error, tasks.DivergedError):
            warnings.warn(f"networks[{number}]: {history.error}", RuntimeWarning, stacklevel=3)
        elif history.error is not None:
            raise history.error
    return histories


def _check_alike(networks: Sequence[NeuralNetwork]) -> None:
    """Raise ``ValueError`` unless the networks share all that they must share."""
    free = ("dropout", "weight_decay", "clip_norm")
    texts = [f"{net!r} in {net.dtype} on {net.backend.describe()}" for net in networks]
    first = networks[0]
    for number, net in enumerate(networks):
        alike = replace(first.architecture, **{name: getattr(net.architecture, name) for name in free})
        problem = f"networks[0] is {texts[0]}, networks[{number}] is {texts[number]}; they may differ in seed, weights, {', '.join(free)} alone"
        wanted = alike, first.backend, first.dtype
        require((net.architecture, net.backend, net.dtype) == wanted, problem)


def _batches(given: Sequence[Any], networks: Sequence[NeuralNetwork]) -> list[TrainingRows]:
    """Return ``(X, y, sample_weight)``, checked, as the rows of each network; they share X and y."""
    (X, y, weights), net = given, networks[0]
    problem = "train_many reads no streams; give arrays"
    require(not is_stream(X, y), problem)
    door = net._door.wide(X, net.architecture.sizes)
    data = targets.batch((X, y, None), net.architecture, door)
    if weights is None:
        return [TrainingRows(data)] * len(networks)
    weights = inputs.numbers(weights, "sample_weight", door.backend)  # (n,), (n, 1) or (K, n)
    is_list = len(weights.shape) == 2 and tuple(weights.shape) != (data.X.shape[0], 1)
    return [
        TrainingRows(data._replace(weights=targets.sample_weights(own, data.X.shape[0], door)))
        for own in _of_each("sample_weight", weights, networks, is_list=is_list)
    ]


def _of_each(name: str, given: Any, networks: Sequence[NeuralNetwork], *, is_list: bool) -> list[Any]:
    """Return one value for each network: its entry of a list, or the same value for all."""
    if not is_list:
        return [given] * len(networks)
    problem = f"{name} has length {len(given)} but there are {len(networks)} networks; give one for each, or one for all"
    require(len(given) == len(networks), problem)
    return [given[number] for number in range(len(networks))]


def _send(executor: "Executor", runs: Sequence[Run], pack_size: int, threads: int) -> list[History]:
    """Have the workers of an executor train networks, and take over the results."""
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
    """Train the networks of a pack in a worker, and return them and their histories."""
    runs, threads = pack
    histories = _fit(runs, Display(), threads)
    return [(net, history) for (net, _, _), history in zip(runs, histories, strict=True)]
