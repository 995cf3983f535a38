{{/* What values.schema.json cannot say: values that do not go together. */}}
{{- define "xcs.check" -}}
{{- with .Values }}
{{- if not .image.repository }}
{{- fail "image.repository: required: the image in your registry, such as registry.example.com/external-cloud-secrets; there is no public one" }}
{{- end }}
{{- if not (or .serviceAccount.create .serviceAccount.name) }}
{{- fail "serviceAccount.name: required without serviceAccount.create, for whatever runs as the namespace's default account would have the operator's rights" }}
{{- end }}
{{- if and .identity.rrsa.enabled .identity.rrsa.webhook (not .serviceAccount.create) }}
{{- fail "identity.rrsa.webhook: annotates the ServiceAccount that serviceAccount.create makes; annotate your own with pod-identity.alibabacloud.com/role-name, and leave identity.rrsa.enabled off" }}
{{- end }}
{{- if and .metrics.serviceMonitor.enabled .metrics.podMonitor.enabled }}
{{- fail "metrics.podMonitor.enabled: not with metrics.serviceMonitor.enabled, for each replica would be scraped twice, and one leader counted as two" }}
{{- end }}
{{- if and (not .clusterName) (or .watchNamespaces (not .clusterStores)) }}
{{- fail "clusterName: required with watchNamespaces and with clusterStores: false, for the operator cannot read the namespace that names the cluster" }}
{{- end }}
{{- range $index, $account := .identity.serviceAccounts }}
{{- if and $.Values.watchNamespaces (not (has $account.namespace $.Values.watchNamespaces)) }}
{{- fail (printf "identity.serviceAccounts.%d.namespace: %s is not in watchNamespaces" $index $account.namespace) }}
{{- end }}
{{- end }}
{{- if has $.Release.Namespace .watchNamespaces }}
{{- fail "watchNamespaces: the operator writes no Secrets into its own namespace" }}
{{- end }}
{{- with .identity.rrsa }}
{{- if and .webhook (not .roleArn) }}
{{- fail "identity.rrsa.roleArn: required with identity.rrsa.webhook" }}
{{- end }}
{{- end }}
{{- if and .metrics.serviceMonitor.enabled (not .metrics.service.enabled) }}
{{- fail "metrics.serviceMonitor.enabled: needs metrics.service.enabled, or use metrics.podMonitor" }}
{{- end }}
{{- end }}
{{- end }}
