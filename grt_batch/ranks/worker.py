"""Every rank but 0: asks for work, and carries out an order or helps a controller. It keeps nothing.

What it works with is imported when it gets its first role: a run that finds nothing new gives it none, and the first
rank may need its core.
"""

from __future__ import annotations

import socket
import traceback

from grt_batch.core import trace
from grt_batch.core.errors import GrtError, RankLost
from grt_batch.core.logs import logger, set_up
from grt_batch.core.memory import peak_memory
from grt_batch.core.timing import Stage
from grt_batch.core.work_folder import set_umask
from grt_batch.ranks.messages import Ask, Help, Message, RunSettings, Tag, pack
from grt_batch.ranks.scheduling import COORDINATOR
from grt_batch.ranks.transport import RankLostError, Transport


class Rank:
    """The life of a rank. It learns the settings of the run from the coordinator, with each role."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.settings = RunSettings()
        self.role = "idle"
        self.place = ""

    def serve(self) -> None:
        """Work until the end of the run. An error ends the whole run at once."""
        self._take_role("idle", self.settings)
        try:
            while not self._is_done():
                # The lost work is given out again, to any rank.
                self.transport.regroup()
        except Exception as error:
            what = str(error) if isinstance(error, GrtError) else f"{type(error).__name__}: {error}"
            place = f" at {self.place}" if self.place else ""
            logger.error(
                "rank %d (%s) on %s failed%s: %s", self.transport.rank, self.role, socket.gethostname(), place, what
            )
            if self.settings.debug:
                traceback.print_exc()
            self.transport.abort(error.exit_code if isinstance(error, GrtError) else RankLost.exit_code)
            raise

    def _is_done(self) -> bool:
        """Work until the end of the run, or until a rank is lost; return whether it was the end."""
        try:
            self._serve()
            self.transport.finish()
        except RankLostError:
            return False
        return True

    def _serve(self) -> None:
        while True:
            self.role, self.place = "idle", ""
            ask = Ask(peak_memory(), socket.gethostname(), self.transport.clock.snapshot())
            self.transport.send(COORDINATOR, Tag.ASK, pack(ask))
            message = self._receive()
            if message.tag is Tag.LEAD:
                self._lead(message)
            elif message.tag is Tag.HELP:
                self._help(message.read(Help))
            elif message.tag is Tag.END:
                self._take_role("idle", message.read(RunSettings))
                if self.settings.profiles:
                    rank, clock = self.transport.rank, self.transport.clock
                    trace.write(self.settings.profiles, rank, socket.gethostname(), clock)
                return
            else:
                raise AssertionError(f"an idle rank got {message.tag.name} from rank {message.source}")

    def _take_role(self, role: str, settings: RunSettings) -> None:
        self.role, self.settings = role, settings
        set_up(settings.log_format, settings.run_id, self.transport.rank, role)
        self.transport.clock.recording = settings.profiles is not None

    def _lead(self, message: Message) -> None:
        from grt_batch.ranks.controller import Controller
        from grt_batch.ranks.serialization import unpack_lead

        order, config, settings = unpack_lead(message)
        set_umask(config)
        self._take_role("controller", settings)
        self.place = order.place
        Controller(self.transport, order).lead(config)

    def _help(self, role: Help) -> None:
        self._take_role("worker", role.settings)
        with self.transport.clock.stage(Stage.HELP):
            self.transport.send(role.leader, Tag.READY)
            while self._do_task(role.leader):
                self.place = ""

    def _do_task(self, leader: int) -> bool:
        """Do the next task and keep nothing of it; return whether there was one."""
        from grt_batch.pipeline.tasks import timed
        from grt_batch.ranks.serialization import pack_result, unpack_task

        message = self._receive()
        if message.tag is Tag.RELEASE:
            return False
        if message.tag is not Tag.TASK:
            raise AssertionError(f"a worker got {message.tag.name} from rank {message.source}")
        with self.transport.clock.stage(Stage.RECEIVE):
            index, self.place, task = unpack_task(message)
        del message
        result = timed(task, self.transport.clock)
        with self.transport.clock.stage(Stage.SEND):
            self.transport.send(leader, Tag.RESULT, pack_result(index, task, result))
        return True

    def _receive(self) -> Message:
        """Return the next message. A worker that arrives after the order is done gets RELEASE, and asks again."""
        while (message := self.transport.receive()).tag is Tag.READY:
            self.transport.send(message.source, Tag.RELEASE)
        return message
