// Prints what the Collector's connectors make of the cases given: for each a file with a line for every request that
// came out, the pipeline's name before it, and a line "-" after each batch that went in and the flush that followed.
// The clock is a fake one: a second passes before each batch and an interval after it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/jonboulle/clockwork"
	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/routingconnector"
	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/spanmetricsconnector"
	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pipeline"
	"go.yaml.in/yaml/v3"
)

type testCase struct {
	Connector string
	Signal    string
	Config    map[string]any
	// The pipelines that it feeds, of the same signal, for one that routes.
	Pipelines []string
	Metadata  map[string][]string
	Batches   []any
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type rig struct {
	of     testCase
	config component.Config
	ctx    context.Context
	lines  []string
	came   chan struct{}
	send   func([]byte) error
}

func (r *rig) out(pipeline string, line []byte, err error) {
	check(err)
	r.lines = append(r.lines, pipeline+" "+string(line))
}

func (r *rig) ids() []pipeline.ID {
	var ids []pipeline.ID
	for _, name := range r.of.Pipelines {
		var id pipeline.ID
		check(id.UnmarshalText([]byte(name)))
		ids = append(ids, id)
	}
	return ids
}

func (r *rig) spanMetrics() component.Component {
	sink, err := consumer.NewMetrics(func(_ context.Context, all pmetric.Metrics) error {
		if all.DataPointCount() > 0 {
			line, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(all)
			r.out("metrics", line, err)
		}
		r.came <- struct{}{}
		return nil
	})
	check(err)
	factory := spanmetricsconnector.NewFactory()
	made, err := factory.CreateTracesToMetrics(r.ctx, connectortest.NewNopSettings(factory.Type()), r.config, sink)
	check(err)
	r.send = func(text []byte) error {
		request, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(text)
		check(err)
		return made.ConsumeTraces(r.ctx, request)
	}
	return made
}

func (r *rig) routing() component.Component {
	factory := routingconnector.NewFactory()
	settings := connectortest.NewNopSettings(factory.Type())
	switch r.of.Signal {
	case "traces":
		sinks := map[pipeline.ID]consumer.Traces{}
		for _, id := range r.ids() {
			sink, err := consumer.NewTraces(func(_ context.Context, all ptrace.Traces) error {
				line, err := (&ptrace.JSONMarshaler{}).MarshalTraces(all)
				r.out(id.String(), line, err)
				return nil
			})
			check(err)
			sinks[id] = sink
		}
		made, err := factory.CreateTracesToTraces(r.ctx, settings, r.config, connector.NewTracesRouter(sinks).(consumer.Traces))
		check(err)
		r.send = func(text []byte) error {
			request, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(text)
			check(err)
			return made.ConsumeTraces(r.ctx, request)
		}
		return made
	case "logs":
		sinks := map[pipeline.ID]consumer.Logs{}
		for _, id := range r.ids() {
			sink, err := consumer.NewLogs(func(_ context.Context, all plog.Logs) error {
				line, err := (&plog.JSONMarshaler{}).MarshalLogs(all)
				r.out(id.String(), line, err)
				return nil
			})
			check(err)
			sinks[id] = sink
		}
		made, err := factory.CreateLogsToLogs(r.ctx, settings, r.config, connector.NewLogsRouter(sinks).(consumer.Logs))
		check(err)
		r.send = func(text []byte) error {
			request, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(text)
			check(err)
			return made.ConsumeLogs(r.ctx, request)
		}
		return made
	}
	sinks := map[pipeline.ID]consumer.Metrics{}
	for _, id := range r.ids() {
		sink, err := consumer.NewMetrics(func(_ context.Context, all pmetric.Metrics) error {
			line, err := (&pmetric.JSONMarshaler{}).MarshalMetrics(all)
			r.out(id.String(), line, err)
			return nil
		})
		check(err)
		sinks[id] = sink
	}
	made, err := factory.CreateMetricsToMetrics(r.ctx, settings, r.config, connector.NewMetricsRouter(sinks).(consumer.Metrics))
	check(err)
	r.send = func(text []byte) error {
		request, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(text)
		check(err)
		return made.ConsumeMetrics(r.ctx, request)
	}
	return made
}

func run(path string) string {
	text, err := os.ReadFile(path)
	check(err)
	r := rig{came: make(chan struct{}, 1)}
	check(yaml.Unmarshal(text, &r.of))
	clock := clockwork.NewFakeClock()
	r.ctx = clockwork.AddToContext(context.Background(), clock)
	r.ctx = client.NewContext(r.ctx, client.Info{Metadata: client.NewMetadata(r.of.Metadata)})
	flushes := r.of.Connector == "span_metrics"
	if flushes {
		r.config = spanmetricsconnector.NewFactory().CreateDefaultConfig()
	} else {
		r.config = routingconnector.NewFactory().CreateDefaultConfig()
	}
	check(confmap.NewFromStringMap(r.of.Config).Unmarshal(r.config))
	check(xconfmap.Validate(r.config))
	var made component.Component
	if flushes {
		made = r.spanMetrics()
	} else {
		made = r.routing()
	}
	check(made.Start(context.Background(), componenttest.NewNopHost()))
	var lines strings.Builder
	for _, batch := range r.of.Batches {
		clock.Advance(time.Second)
		if batch != nil {
			text, err := json.Marshal(batch)
			check(err)
			if err := r.send(text); err != nil {
				r.lines = append(r.lines, "!")
			}
		}
		if flushes {
			clock.Advance(time.Minute)
			<-r.came
		}
		sort.Strings(r.lines)
		for _, line := range r.lines {
			lines.WriteString(line + "\n")
		}
		r.lines = nil
		lines.WriteString("-\n")
	}
	check(made.Shutdown(context.Background()))
	return lines.String()
}

func main() {
	for _, path := range os.Args[2:] {
		name := strings.TrimSuffix(filepath.Base(path), ".json") + ".txt"
		check(os.WriteFile(filepath.Join(os.Args[1], name), []byte(run(path)), 0o644))
	}
}
