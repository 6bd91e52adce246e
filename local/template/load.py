"""Load a template file into a stack: parse, translate, resolve and read every resource."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from local.template import api, functions, parameters, references, resources, source
from local.template.errors import Problem, TemplateInvalid, Unresolvable
from local.template.pseudo import QUEUES_URL
from local.template.resolve import Resolver
from local.template.source import Fragment, TemplateSource
from local.template.stack import RestApi, Schedule, Stack
from local.template.translate import translate

# The template parameter that holds the sender address of the stack's mail.
_MAIL_FROM_PARAMETER = "MailFrom"


def load(
    path: Path,
    *,
    overrides: Mapping[str, str],
    offered: Mapping[str, str] | None = None,
    queues_url: str = QUEUES_URL,
    checks_rules: bool = False,
    variables: Mapping[str, str] | None = None,
) -> Stack:
    """Return the stack described by the template at `path`.

    Every name in `overrides` must be a parameter of the template; parameters in `offered` that the template does not
    declare are ignored. Queue URLs begin with `queues_url`. Raises `TemplateInvalid` with every problem found, and with
    `checks_rules` also if the parameters break a rule of the template. `variables` names the environment variables that set
    offered parameters, for the messages.
    """
    file = source.read_source(path)
    declared: Fragment = file.content.get("Parameters") or {}
    declared_offers = {name: value for name, value in (offered or {}).items() if name in declared}
    values = parameters.parameter_values(
        file, declared_offers | dict(overrides), variables={name: one for name, one in (variables or {}).items() if name not in overrides}
    )
    if checks_rules and (broken := parameters.broken_rules(file, values)):
        raise file.invalid(*broken)
    template = translate(file, values)
    references.check_references(file, template)
    refs = {name: parameters.parameter_ref(declared, name, value) for name, value in values.items()}
    resolver = Resolver(template, refs, queues_url=queues_url)
    reader = _StackReader(file, resolver, template["Resources"], queues_url=queues_url)
    return reader.stack(mail_from=values.get(_MAIL_FROM_PARAMETER, ""))


class _StackReader:
    """Reads the resources of a translated template and collects all problems before it raises."""

    def __init__(self, file: TemplateSource, resolver: Resolver, resources: Fragment, *, queues_url: str) -> None:
        self._file = file
        self._resolver = resolver
        self._resources = resources
        self._queues_url = queues_url
        self._problems: list[Problem] = []

    def stack(self, *, mail_from: str) -> Stack:
        function_map = dict(self._each(functions.FUNCTION_KIND, lambda name, body: functions.read_function(self._file, name, body)))
        stack = Stack(
            functions=function_map,
            api=self._api(),
            schedules=self._schedules(),
            queues=dict(self._each(resources.QUEUE_KIND, partial(resources.read_queue, queues_url=self._queues_url))),
            buckets=dict(self._each(resources.BUCKET_KIND, resources.read_bucket)),
            event_sources=tuple(mapping for _, mapping in self._each(resources.MAPPING_KIND, resources.read_event_source)),
            mail_from=mail_from,
        )
        self._problems += [
            *api.unknown_api_functions(self._file, stack.api, function_map),
            *resources.unknown_schedule_functions(self._file, stack),
        ]
        self._problems += resources.unknown_event_source_ends(self._file, stack)
        if self._problems:
            raise self._file.invalid(*self._problems)
        return stack

    def _api(self) -> RestApi:
        stages = [body for _, body in self._each(api.STAGE_KIND, lambda _, body: body)]
        apis = list(self._each(api.API_KIND, lambda name, body: api.read_api(self._file, name, body, stages)))
        if len(apis) > 1:
            self._problems.append(self._file.problem(apis[1][0], "this is a second API; the emulator supports one"))
        return apis[0][1] if apis else RestApi()

    def _schedules(self) -> tuple[Schedule, ...]:
        schedules = [
            *self._each(resources.SCHEDULER_KIND, resources.read_scheduler_schedule),
            *self._each(resources.RULE_KIND, resources.read_rule_schedule),
        ]
        return tuple(schedule for _, schedule in schedules if schedule)

    def _each[T](self, kind: str, read: Callable[[str, Fragment], T]) -> Iterator[tuple[str, T]]:
        """Yield the name and the result of `read` for each resource of this kind whose condition holds."""
        for name, resource in self._resources.items():
            if resource["Type"] != kind:
                continue
            try:
                if "Condition" in resource and not self._resolver.holds(resource["Condition"]):
                    continue
                yield name, read(name, self._resolver.value(resource.get("Properties", {})))
            except Unresolvable as error:
                self._problems.append(self._file.problem(name, str(error)))
            except TemplateInvalid as error:
                self._problems += error.problems
