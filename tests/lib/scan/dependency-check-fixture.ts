/**
 * Reports as Dependency-Check writes them, and a program that stands in for it, since its data cannot be had in a
 * test. Fields, their names and their types are those of `reportSchema` 1.1 in
 * core/src/main/resources/templates/jsonReport.vsl of github.com/dependency-check/DependencyCheck.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

interface Flaw {
  name: string
  [field: string]: unknown
}

export const flaw = (name: string, more: Record<string, unknown> = {}): Flaw => ({
  source: 'NVD',
  name,
  severity: 'HIGH',
  cvssv3: {
    baseScore: 7.5,
    attackVector: 'NETWORK',
    attackComplexity: 'LOW',
    privilegesRequired: 'NONE',
    userInteraction: 'NONE',
    scope: 'UNCHANGED',
    confidentialityImpact: 'NONE',
    integrityImpact: 'HIGH',
    availabilityImpact: 'NONE',
    baseSeverity: 'HIGH',
    exploitabilityScore: '3.9',
    impactScore: '3.6',
    version: '3.1',
  },
  cwes: ['CWE-1321'],
  description: 'victim before 1.2.3 allows prototype pollution.',
  notes: '',
  references: [
    { source: 'MISC', url: 'https://github.com/advisories/GHSA-aaaa-bbbb-cccc', name: 'advisory' },
    { source: 'MISC', url: 'https://example.com/blog' },
  ],
  vulnerableSoftware: [
    {
      software: {
        id: 'cpe:2.3:a:victim_project:victim:*:*:*:*:*:node.js:*:*',
        vulnerabilityIdMatched: 'true',
        versionEndExcluding: '1.2.3',
      },
    },
  ],
  ...more,
})

export const dependency = (folder: string, vulnerabilities: Flaw[], more: Record<string, unknown> = {}) => ({
  isVirtual: true,
  fileName: 'victim:1.0.0',
  filePath: join(folder, 'package-lock.json?/victim:1.0.0'),
  evidenceCollected: { vendorEvidence: [], productEvidence: [], versionEvidence: [] },
  packages: [{ id: 'pkg:npm/victim@1.0.0', confidence: 'HIGHEST', url: 'https://ossindex.sonatype.org/x' }],
  ...(vulnerabilities.length > 0 && { vulnerabilities }),
  ...more,
})

export const exception = (analyzer: string, message = 'Failed to request component-reports') => ({
  exception: {
    message: `org.owasp.dependencycheck.analyzer.exception.AnalysisException: ${message}`,
    stackTrace: [
      'org.owasp.dependencycheck.data.nodeaudit.NodeAuditSearch.submitPackage(NodeAuditSearch.java:180)',
      `org.owasp.dependencycheck.analyzer.${analyzer}.analyzeDependency(${analyzer}.java:131)`,
      'org.owasp.dependencycheck.analyzer.AbstractAnalyzer.analyze(AbstractAnalyzer.java:131)',
      'org.owasp.dependencycheck.AnalysisTask.call(AnalysisTask.java:88)',
    ],
    cause: { message: 'java.io.IOException: 410', stackTrace: [] },
  },
})

export const updateException = {
  exception: {
    message: 'org.owasp.dependencycheck.data.update.exception.UpdateException: Error updating the NVD Data',
    stackTrace: [
      'org.owasp.dependencycheck.data.update.NvdApiDataSource.processApi(NvdApiDataSource.java:377)',
      'org.owasp.dependencycheck.Engine.doUpdates(Engine.java:905)',
    ],
  },
}

export const report = (dependencies: unknown[], analysisExceptions?: unknown[]) => ({
  reportSchema: '1.1',
  scanInfo: {
    engineVersion: '12.2.2',
    dataSource: [
      { name: 'NVD API Last Checked', timestamp: '2026-11-23T06:00:00Z' },
      { name: 'NVD API Last Modified', timestamp: '2026-11-23T05:15:11Z' },
    ],
    ...(analysisExceptions && { analysisExceptions }),
  },
  projectInfo: {
    name: '',
    reportDate: '2026-11-23T08:00:00.000Z',
    credits: { NVD: 'This product uses the NVD API' },
  },
  dependencies,
})

/**
 * Puts a program of that name into a folder. It writes down how it was called (`argv`, the command lines of all
 * processes, and the properties file with its mode), leaves the file `report` of that folder, if there is one,
 * where Dependency-Check would, with the packages of the lockfile that it was given unless there is a file `blind`, and
 * ends with the code in `exit`; not before the file `wait` is gone.
 */
export function standIn(bin: string, name: string): string {
  const told = join(bin, 'told')
  mkdirSync(told, { recursive: true })
  writeFileSync(
    join(bin, name),
    `#!/bin/sh
told='${told}'
tr '\\0' '\\n' < /proc/$$/cmdline > "$told/argv"
for process in /proc/[0-9]*; do cat "$process/cmdline"; done > "$told/everybody" 2> /dev/null
out=/nowhere properties=/nowhere lock=/nowhere
while [ $# -gt 0 ]; do
  case "$1" in
    --scan) [ "$2" = /lock ] || lock=$2 ;;
    type=bind,source=*,target=/lock,readonly) lock=\${1#type=bind,source=} lock=\${lock%%,target=*} ;;
    --out) [ "$2" = /report ] || out=$2 ;;
    --propertyfile) [ "\${2#/run/}" = "$2" ] && properties=$2 ;;
    type=bind,source=*,target=/report) out=\${1#type=bind,source=} out=\${out%,target=/report} ;;
    type=bind,source=*,target=/run/*) properties=\${1#type=bind,source=} properties=\${properties%%,target=*} ;;
  esac
  shift
done
if [ -f "$properties" ]; then { stat -c %a "$properties"; cat "$properties"; } > "$told/properties"; fi
echo '[INFO] Checking for updates'
echo ' ::error::key is '"$NVD_API_KEY" >&2
while [ -f "$told/wait" ]; do sleep 0.05; done
if [ -f "$told/report" ]; then cp "$told/report" "$out/dependency-check-report.json"; fi
if [ -f "$told/report" ] && [ -d "$lock/node_modules" ] && ! [ -f "$told/blind" ]; then
  '${process.execPath}' '${join(import.meta.dir, 'reads-lock.ts')}' "$lock" "$out/dependency-check-report.json"
fi
exit "$(cat "$told/exit")"
`,
  )
  chmodSync(join(bin, name), 0o755)
  return told
}
