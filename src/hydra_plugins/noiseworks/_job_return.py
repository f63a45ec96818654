"""What became of one job of a batch. Its configurations are composed when somebody reads them: few do, of 10,000."""

from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus

from hydra_plugins.noiseworks._settled import Settled

if TYPE_CHECKING:
    from hydra_plugins.noiseworks._batch import BatchJob
    from hydra_plugins.noiseworks._composition import Composer


class BatchJobReturn(JobReturn):
    def __init__(self, composer: "Composer", job: "BatchJob", task_name: str, result: Any) -> None:
        self._composer = composer
        self._num = job.num
        self._configs: dict[str, Any] = {}
        super().__init__(overrides=job.overrides, working_dir=job.output_dir, task_name=task_name)
        self._configs.clear()  # of the None that the line above has set
        self._lines = list(job.overrides)
        self.status = JobStatus.FAILED if isinstance(result, Exception) else JobStatus.COMPLETED
        self.return_value = result

    @property
    def cfg(self) -> Any:
        return self._config("cfg")

    @cfg.setter
    def cfg(self, value: Any) -> None:
        self._configs["cfg"] = value

    @property
    def hydra_cfg(self) -> Any:
        return self._config("hydra_cfg")

    @hydra_cfg.setter
    def hydra_cfg(self, value: Any) -> None:
        self._configs["hydra_cfg"] = value

    def _config(self, name: str) -> Any:
        if name not in self._configs:
            settled: Settled = self._composer.settle(self._lines, self._num)
            self._configs = {"cfg": settled.task, "hydra_cfg": settled.hydra} | self._configs
        return self._configs[name]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(overrides={self.overrides!r}, working_dir={self.working_dir!r},"
            f" status={self.status}, _return_value={self._return_value!r})"
        )
