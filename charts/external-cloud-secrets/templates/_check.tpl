{{/* What values.schema.json cannot say: values that do not go together. */}}
{{- define "xcs.check" -}}
{{- with .Values }}
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
