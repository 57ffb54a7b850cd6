"""Bodies in the form of Amazon Lookout for Vision's API 2020-11-20."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dense.service.models.common import Asked, Model

DatasetType = Literal["train", "test"]


class ProjectMetadata(Model):
    """A project in a list."""

    ProjectArn: str
    ProjectName: str
    CreationTimestamp: float


class DatasetMetadata(Model):
    """A data set in a list."""

    DatasetType: DatasetType
    CreationTimestamp: float
    Status: str
    StatusMessage: str


class CreateProjectRequest(Asked):
    """A new project."""

    ProjectName: str = Field(max_length=64)


class ProjectAnswer(Model):
    """A new project."""

    ProjectMetadata: ProjectMetadata


class ProjectList(Model):
    """Projects."""

    Projects: list[ProjectMetadata]
    NextToken: str | None = None


class ProjectDescription(ProjectMetadata):
    """A project with its data sets."""

    Datasets: list[DatasetMetadata]


class ProjectDescriptionAnswer(Model):
    """A project with its data sets."""

    ProjectDescription: ProjectDescription


class ProjectDeleted(Model):
    """A deleted project."""

    ProjectArn: str


class CreateDatasetRequest(Asked):
    """A new data set; it is empty: pictures come with UpdateDatasetEntries."""

    DatasetType: DatasetType


class DatasetAnswer(Model):
    """A new data set."""

    DatasetMetadata: DatasetMetadata


class ImageStats(Model):
    """Numbers of pictures."""

    Total: int
    Labeled: int
    Normal: int
    Anomaly: int


class DatasetDescription(Model):
    """A data set."""

    ProjectName: str
    DatasetType: DatasetType
    CreationTimestamp: float
    LastUpdatedTimestamp: float
    Status: str
    StatusMessage: str
    ImageStats: ImageStats


class DatasetDescriptionAnswer(Model):
    """A data set."""

    DatasetDescription: DatasetDescription


class Nothing(Model):
    """An empty answer."""


class UpdateEntriesRequest(Asked):
    """JSON Lines as base64; source-ref is the picture as a data URL."""

    Changes: str = Field(min_length=1)


class StatusAnswer(Model):
    """A status."""

    Status: str


class EntryList(Model):
    """JSON Lines."""

    DatasetEntries: list[str]
    NextToken: str | None = None


class CreateModelRequest(Asked):
    """A new model; where AWS wants it to be written is taken and not used."""

    Description: str = Field(default="", max_length=500)
    OutputConfig: dict[str, object] | None = None
    KmsKeyId: str | None = None
    Tags: list[dict[str, str]] | None = None


class Performance(Model):
    """On the test data set."""

    F1Score: float
    Recall: float
    Precision: float


class ModelMetadata(Model):
    """A model in a list."""

    CreationTimestamp: float
    ModelVersion: str
    ModelArn: str
    Description: str
    Status: str
    StatusMessage: str
    Performance: Performance | None


class ModelAnswer(Model):
    """A new model."""

    ModelMetadata: ModelMetadata


class ModelList(Model):
    """Models."""

    Models: list[ModelMetadata]
    NextToken: str | None = None


class ModelDescriptionAnswer(Model):
    """A model."""

    ModelDescription: ModelMetadata


class StartModelRequest(Asked):
    """Units are taken and not used: workers are those of the service."""

    MinInferenceUnits: int = Field(default=1, ge=1)
    MaxInferenceUnits: int | None = Field(default=None, ge=1)


class ImageSource(Model):
    """Where the picture came from."""

    Type: str


class PixelAnomaly(Model):
    """Share of the picture, from 0 to 1, and colour in the mask."""

    TotalPercentageArea: float
    Color: str


class AnomalyModel(Model):
    """A kind of anomaly."""

    Name: str
    PixelAnomaly: PixelAnomaly


class AnomalyResultModel(Model):
    """What was found."""

    Source: ImageSource
    IsAnomalous: bool
    Confidence: float
    Anomalies: list[AnomalyModel] | None
    AnomalyMask: str | None = Field(description="PNG as base64.")


class DetectAnswer(Model):
    """What was found."""

    DetectAnomalyResult: AnomalyResultModel
