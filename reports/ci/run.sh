#!/usr/bin/env bash
# Runs the suite in a pipeline from variables, writes every report, and leaves with the decision's exit code.
# Works on any runner: GitHub's files are written where they exist.
set -uo pipefail

refuse() {
  printf 'auth-conformance: %s\n' "$1" >&2
  exit 2
}

# A switch that is neither must not count as "no": strict would pass what it was meant to stop.
switched() {
  case ${2:-false} in
    true) return 0 ;;
    false) return 1 ;;
    *) refuse "$1 is neither true nor false: $2" ;;
  esac
}

output=${OUTPUT:-auth-conformance}
# A line break in it would be a further line of GITHUB_OUTPUT.
case $output in
  *[[:cntrl:]]*) refuse 'output holds a control character' ;;
esac
mkdir -p -- "$output" || exit 2
# What an earlier run left must not be read as what this one found.
rm -f -- "$output/run.json" "$output/report.html" "$output/results.sarif" "$output/summary.md" || exit 2
arguments=(--fail-on "${FAIL_ON:-low}" --level "${LEVEL:-3}")
arguments+=(--json "$output/run.json" --html "$output/report.html")
arguments+=(--sarif "$output/results.sarif" --markdown "$output/summary.md")
[ -z "${CONFIG:-}" ] || arguments+=(--config "$CONFIG")
[ -z "${BASELINE:-}" ] || arguments+=(--baseline "$BASELINE")
if switched new-only "${NEW_ONLY:-}"; then arguments+=(--new-only); fi
if switched strict "${STRICT:-}"; then arguments+=(--strict); fi
if switched allow-disruptive "${ALLOW_DISRUPTIVE:-}"; then arguments+=(--allow-disruptive); fi
# After "--" nothing is an option, whatever the target is called.
[ -z "${TARGET:-}" ] || arguments+=(-- "$TARGET")

# What the service answers is printed, and a line that begins with "::" is a command to the runner: none counts
# until a word comes that the service cannot know.
token=
if [ -n "${GITHUB_ACTIONS:-}" ]; then
  token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  [ "${#token}" -eq 32 ] || refuse 'no random word for stop-commands'
  printf '::stop-commands::%s\n' "$token"
fi
auth-conformance run "${arguments[@]}"
code=$?
[ -z "$token" ] || printf '\n::%s::\n' "$token"

if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  if [ -f "$output/summary.md" ]; then
    cat -- "$output/summary.md"
  else
    printf '## Authentication: no result\n\nThe run ended with exit code %s; its output says why.\n' "$code"
  fi >>"$GITHUB_STEP_SUMMARY"
fi
if [ -n "${GITHUB_OUTPUT:-}" ]; then
  printf 'exit-code=%s\n' "$code" >>"$GITHUB_OUTPUT"
  [ ! -f "$output/results.sarif" ] || printf 'sarif=%s\n' "$output/results.sarif" >>"$GITHUB_OUTPUT"
fi
if [ -n "${GITHUB_ACTIONS:-}" ] && [ -f "$output/run.json" ]; then
  auth-conformance annotate "$output/run.json"
fi
exit "$code"
