/** Who runs the commands of the guides: a new one is run as soon as it is written, or has a reason here why not. */

/** By tests/e2e/guides.test.ts, all that is marked as `sh`, in its order. */
export const FOLLOWED = ['using-it-for-your-app.md', 'incident-response-playbook.md']

/** By tests/e2e/guide-commands.test.ts, whatever stands alone on its line. */
export const TYPED = [
  'kubernetes-configuration-guide.md',
  'monitoring-alerting-guide.md',
  'incident-response-playbook.md',
]

/** By tests/scripts/checklist-guide.test.ts. */
export const REHEARSED = ['production-deployment-checklist.md']

/** What cannot be run here. */
export const NOT_HERE: Readonly<Record<string, string>> = {
  'git clone <this repository> deploy-scripts && cd deploy-scripts': 'the test is in a clone',
  'make install': 'and it is installed',
  'kubectl apply -k k8s/monitoring':
    'needs the kinds of the Prometheus Operator; tests/k8s/monitoring.test.ts renders and checks it',
  'kubectl -n chatbot-platform-prod top pods -l app=chatbot-platform':
    'needs a metrics server, which no sandbox has',
  "git fetch origin <the release's commit>": 'the commit is the reader’s',
  'bun scripts/security-scan.ts --release ghcr.io/example/chatbot-platform@sha256:…':
    'the release is the reader’s; tests/scripts/security-scan.test.ts scans one',
}
