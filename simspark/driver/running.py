"""What the parts of the context stand on: the application that it runs as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simspark.publib.errors import ContextStopped

if TYPE_CHECKING:
    from simspark.driver.application import Application
    from simspark.driver.conf import SparkConf
    from simspark.driver.job_control import ThreadProperties


class Running:
    """A context's application, settings, and the properties of the jobs of each thread."""

    _application: Application
    _conf: SparkConf
    _thread_properties: ThreadProperties

    def _running(self) -> Application:
        if self._application.stopped:
            raise ContextStopped("This SparkContext was stopped. Make a new one: SparkContext(...). (SS103)")
        return self._application
