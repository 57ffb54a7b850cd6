"""Endpoints that users of Amazon Lookout for Vision know."""

from __future__ import annotations

import time
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Path, Query, Request

from dense.errors import ConflictError
from dense.service.auth import CoreDep, Engineer, Reader, Worker
from dense.service.core import Core
from dense.service.errors import BusyError, LostError
from dense.service.evidence import decode_evidence
from dense.service.lookout import entries, models
from dense.service.lookout.detecting import show_result
from dense.service.lookout.projects import (
    DatasetRow,
    ModelRow,
    ProjectRow,
    Projects,
    dataset_of,
)
from dense.service.models import lookout as shapes
from dense.service.routers.inspect import PICTURE_BODY, decided, read_picture, take
from dense.service.routers.shared import PROBLEMS, ProductName

router = APIRouter(prefix="/2020-11-20/projects", tags=["lookout"], responses=PROBLEMS)
DatasetKind = Annotated[shapes.DatasetType, Path()]
Version = Annotated[int, Path(ge=1, le=1 << 31)]
Most = Annotated[int, Query(alias="maxResults", ge=1, le=100)]
Token = Annotated[int, Query(alias="nextToken", ge=0, le=1 << 31)]
_COMPLETE = "CREATE_COMPLETE"


@router.post("")
def create_project(
    body: shapes.CreateProjectRequest, core: CoreDep, _: Engineer
) -> shapes.ProjectAnswer:
    """CreateProject."""
    made = _projects(core).make(body.ProjectName)
    return shapes.ProjectAnswer(ProjectMetadata=_metadata(body.ProjectName, made))


@router.get("")
def list_projects(
    core: CoreDep, _: Reader, most: Most = 100, token: Token = 0
) -> shapes.ProjectList:
    """ListProjects."""
    projects = _projects(core)
    names = projects.names()
    chosen = names[token : token + most]
    return shapes.ProjectList(
        Projects=[_metadata(name, projects.get(name)) for name in chosen],
        NextToken=_next(token, most, len(names)),
    )


@router.get("/{name}")
def describe_project(
    name: ProductName, core: CoreDep, _: Reader
) -> shapes.ProjectDescriptionAnswer:
    """DescribeProject."""
    project = _projects(core).get(name)
    described = shapes.ProjectDescription(
        **_metadata(name, project).model_dump(),
        Datasets=[_dataset(kind, row) for kind, row in project["datasets"].items()],
    )
    return shapes.ProjectDescriptionAnswer(ProjectDescription=described)


@router.delete("/{name}")
def delete_project(name: ProductName, core: CoreDep, who: Engineer) -> shapes.ProjectDeleted:
    """DeleteProject: with its product; decisions stay in the log."""
    projects = _projects(core)
    if any(model["hosted"] for model in projects.get(name)["models"].values()):
        raise ConflictError("a model is hosted: stop it first")
    projects.delete(name)
    if name in core.registry.names():
        core.forget(name, who.actor)
    return shapes.ProjectDeleted(ProjectArn=_arn("project", name))


@router.post("/{name}/datasets", status_code=202)
def create_dataset(
    name: ProductName, body: shapes.CreateDatasetRequest, core: CoreDep, _: Engineer
) -> shapes.DatasetAnswer:
    """CreateDataset: an empty one."""
    now = time.time()
    row: DatasetRow = {"made": now, "changed": now, "entries": []}

    def add(project: ProjectRow) -> None:
        if body.DatasetType in project["datasets"]:
            raise ConflictError(f"there is a {body.DatasetType} dataset already")
        project["datasets"][body.DatasetType] = row

    _projects(core).change(name, add)
    return shapes.DatasetAnswer(DatasetMetadata=_dataset(body.DatasetType, row))


@router.get("/{name}/datasets/{kind}")
def describe_dataset(
    name: ProductName, kind: DatasetKind, core: CoreDep, _: Reader
) -> shapes.DatasetDescriptionAnswer:
    """DescribeDataset."""
    row = dataset_of(_projects(core).get(name), kind)
    bad = sum(entry["anomalous"] for entry in row["entries"])
    count = len(row["entries"])
    described = shapes.DatasetDescription(
        ProjectName=name,
        LastUpdatedTimestamp=row["changed"],
        ImageStats=shapes.ImageStats(Total=count, Labeled=count, Normal=count - bad, Anomaly=bad),
        **_dataset(kind, row).model_dump(),
    )
    return shapes.DatasetDescriptionAnswer(DatasetDescription=described)


@router.delete("/{name}/datasets/{kind}", status_code=202)
def delete_dataset(
    name: ProductName, kind: DatasetKind, core: CoreDep, _: Engineer
) -> shapes.Nothing:
    """DeleteDataset."""

    def remove(project: ProjectRow) -> None:
        dataset_of(project, kind)
        del project["datasets"][kind]

    _projects(core).change(name, remove)
    return shapes.Nothing()


@router.patch("/{name}/datasets/{kind}/entries", status_code=202)
def update_entries(
    name: ProductName,
    kind: DatasetKind,
    body: shapes.UpdateEntriesRequest,
    core: CoreDep,
    _: Engineer,
) -> shapes.StatusAnswer:
    """UpdateDatasetEntries: pictures come as data URLs, nothing is fetched."""
    projects = _projects(core)
    dataset_of(projects.get(name), kind)
    added = entries.read_lines(core, body.Changes)
    projects.change(name, lambda project: entries.merge(dataset_of(project, kind), added))
    return shapes.StatusAnswer(Status="UPDATE_COMPLETE")


@router.get("/{name}/datasets/{kind}/entries")
def list_entries(
    name: ProductName,
    kind: DatasetKind,
    core: CoreDep,
    _: Reader,
    most: Most = 100,
    token: Token = 0,
) -> shapes.EntryList:
    """ListDatasetEntries."""
    rows = dataset_of(_projects(core).get(name), kind)["entries"]
    shown = [entries.show(row) for row in rows[token : token + most]]
    return shapes.EntryList(DatasetEntries=shown, NextToken=_next(token, most, len(rows)))


@router.post("/{name}/models", status_code=202)
def create_model(
    name: ProductName, body: shapes.CreateModelRequest, core: CoreDep, who: Engineer
) -> shapes.ModelAnswer:
    """CreateModel: a version of the product, made before the answer comes."""
    projects = _projects(core)
    record = models.train(core, projects, name, body.Description, who.actor)
    version = str(record.version)
    row = projects.get(name)["models"][version]
    return shapes.ModelAnswer(ModelMetadata=_model(name, version, row))


@router.get("/{name}/models")
def list_models(
    name: ProductName, core: CoreDep, _: Reader, most: Most = 100, token: Token = 0
) -> shapes.ModelList:
    """ListModels."""
    found = list(_projects(core).get(name)["models"].items())
    shown = [_model(name, version, row) for version, row in found[token : token + most]]
    return shapes.ModelList(Models=shown, NextToken=_next(token, most, len(found)))


@router.get("/{name}/models/{version}")
def describe_model(
    name: ProductName, version: Version, core: CoreDep, _: Reader
) -> shapes.ModelDescriptionAnswer:
    """DescribeModel."""
    row = _model_of(_projects(core).get(name), version)
    return shapes.ModelDescriptionAnswer(ModelDescription=_model(name, str(version), row))


@router.post("/{name}/models/{version}/start", status_code=202)
def start_model(
    name: ProductName,
    version: Version,
    core: CoreDep,
    _: Engineer,
    body: shapes.StartModelRequest | None = None,
) -> shapes.StatusAnswer:
    """StartModel."""
    _projects(core).change(name, lambda project: _host(project, version, True))
    return shapes.StatusAnswer(Status="HOSTED")


@router.post("/{name}/models/{version}/stop", status_code=202)
def stop_model(
    name: ProductName, version: Version, core: CoreDep, _: Engineer
) -> shapes.StatusAnswer:
    """StopModel."""
    _projects(core).change(name, lambda project: _host(project, version, False))
    return shapes.StatusAnswer(Status="TRAINED")


@router.post("/{name}/models/{version}/detect", openapi_extra=PICTURE_BODY)
async def detect_anomalies(
    name: ProductName, version: Version, request: Request, core: CoreDep, who: Worker
) -> shapes.DetectAnswer:
    """DetectAnomalies: the body is the picture."""

    def check() -> None:
        if not _model_of(_projects(core).get(name), version)["hosted"]:
            raise ConflictError(f"model {version} of {name!r} is not hosted: start it first")

    await anyio.to_thread.run_sync(check)
    picture = await read_picture(request)
    job, answer = await take(core, name, picture, who, version=version)
    decision = await decided(core, job, answer)
    if decision is None:
        raise BusyError("judging takes long: the picture is kept and will be judged")

    def show() -> shapes.AnomalyResultModel:
        maps = None
        if decision.evidence is not None:
            maps = decode_evidence(core.file(decision.evidence, "maps"))
        return show_result(decision, core.record(name, version).product, maps)

    found = await anyio.to_thread.run_sync(show)
    return shapes.DetectAnswer(DetectAnomalyResult=found)


def _projects(core: Core) -> Projects:
    return Projects(core.registry.database)


def _host(project: ProjectRow, version: int, hosted: bool) -> None:
    _model_of(project, version)["hosted"] = hosted


def _model_of(project: ProjectRow, version: int) -> ModelRow:
    if str(version) not in project["models"]:
        raise LostError(f"the project has no model {version}")
    return project["models"][str(version)]


def _metadata(name: str, project: ProjectRow) -> shapes.ProjectMetadata:
    arn, made = _arn("project", name), project["made"]
    return shapes.ProjectMetadata(ProjectArn=arn, ProjectName=name, CreationTimestamp=made)


def _dataset(kind: str, row: DatasetRow) -> shapes.DatasetMetadata:
    return shapes.DatasetMetadata(
        DatasetType=kind,  # type: ignore[arg-type]
        CreationTimestamp=row["made"],
        Status=_COMPLETE if row["changed"] == row["made"] else "UPDATE_COMPLETE",
        StatusMessage="",
    )


def _model(name: str, version: str, row: ModelRow) -> shapes.ModelMetadata:
    known = row["performance"]
    return shapes.ModelMetadata(
        CreationTimestamp=row["made"],
        ModelVersion=version,
        ModelArn=_arn("model", f"{name}/{version}"),
        Description=row["description"],
        Status="HOSTED" if row["hosted"] else "TRAINED",
        StatusMessage="",
        Performance=None if known is None else shapes.Performance.model_validate(known),
    )


def _arn(kind: str, name: str) -> str:
    return f"arn:dense:lookoutvision:::{kind}/{name}"


def _next(token: int, most: int, count: int) -> str | None:
    return str(token + most) if token + most < count else None
