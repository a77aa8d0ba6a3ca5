"""Every rank but 0: asks for something to do, and carries out an order or helps who does. It keeps nothing."""

from __future__ import annotations

import socket
import traceback

from grt_batch.core import trace
from grt_batch.core.errors import GrtError, RankLost
from grt_batch.core.logs import logger, set_up
from grt_batch.core.memory import peak_memory
from grt_batch.core.timing import Stage
from grt_batch.core.work_folder import set_umask
from grt_batch.pipeline.tasks import timed
from grt_batch.ranks.controller import Controller
from grt_batch.ranks.messages import Message, Tag, pack
from grt_batch.ranks.scheduling import COORDINATOR
from grt_batch.ranks.serialization import pack_result, unpack_end, unpack_lead, unpack_task
from grt_batch.ranks.transport import RankLostError, Transport


class Rank:
    """The life of a rank."""

    def __init__(self, transport: Transport, log_format: str, *, debug: bool) -> None:
        self.transport = transport
        self.log_format = log_format
        self.debug = debug
        self.role = "idle"
        self.place = ""

    def serve(self) -> None:
        """Work until the end of the run. An error ends the whole run at once."""
        set_up(self.log_format, "", self.transport.rank, "worker")
        try:
            while not self._is_through():
                # Whatever this rank was at, another one may be told to do it.
                self.transport.regroup()
        except Exception as error:
            what = str(error) if isinstance(error, GrtError) else f"{type(error).__name__}: {error}"
            place = f" at {self.place}" if self.place else ""
            logger.error(
                "rank %d (%s) on %s failed%s: %s", self.transport.rank, self.role, socket.gethostname(), place, what
            )
            if self.debug:
                traceback.print_exc()
            self.transport.abort(error.exit_code if isinstance(error, GrtError) else RankLost.exit_code)
            raise

    def _is_through(self) -> bool:
        """Work until the end of the run, or until a rank is lost."""
        try:
            self._serve()
            self.transport.finish()
        except RankLostError:
            return False
        return True

    def _serve(self) -> None:
        while True:
            self.role, self.place = "idle", ""
            said = {"memory": peak_memory(), "host": socket.gethostname(), "snapshot": self.transport.clock.snapshot()}
            self.transport.send(COORDINATOR, Tag.ASK, pack(said))
            message = self._receive()
            if message.tag is Tag.LEAD:
                self._lead(message)
            elif message.tag is Tag.HELP:
                with self.transport.clock.stage(Stage.HELP):
                    self._help(message.header["leader"])
            elif message.tag is Tag.END:
                if folder := unpack_end(message):
                    trace.write(folder, self.transport.rank, socket.gethostname(), self.transport.clock)
                return
            else:
                raise AssertionError(f"an idle rank was told {message.tag.name} by rank {message.source}")

    def _lead(self, message: Message) -> None:
        order, config, run_id = unpack_lead(message)
        set_umask(config)
        self.role, self.place = "controller", order.place
        set_up(self.log_format, run_id, self.transport.rank, self.role)
        Controller(self.transport, order).lead(config)

    def _help(self, leader: int) -> None:
        self.role = "worker"
        self.transport.send(leader, Tag.READY)
        while self._do_task(leader):
            self.place = ""

    def _do_task(self, leader: int) -> bool:
        """Do the next task, of which nothing is kept; whether there was one."""
        message = self._receive()
        if message.tag is Tag.RELEASE:
            return False
        if message.tag is not Tag.TASK:
            raise AssertionError(f"a worker was told {message.tag.name} by rank {message.source}")
        with self.transport.clock.stage(Stage.RECEIVE):
            index, self.place, task = unpack_task(message)
        del message
        result = timed(task, self.transport.clock)
        with self.transport.clock.stage(Stage.SEND):
            self.transport.send(leader, Tag.RESULT, pack_result(index, task, result))
        return True

    def _receive(self) -> Message:
        """The next message. A worker that comes when this rank leads no more is sent back to ask again."""
        while (message := self.transport.receive()).tag is Tag.READY:
            self.transport.send(message.source, Tag.RELEASE)
        return message
