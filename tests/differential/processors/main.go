// Prints what the Collector's processors make of the cases given: for each a file of JSON lines, one for every
// request that came out, and a line "-" after each batch that went in; what comes out at the shutdown comes last.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/cumulativetodeltaprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/deltatocumulativeprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/intervalprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/logdedupprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/metricsgenerationprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/metricstransformprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/redactionprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/spanprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/tailsamplingprocessor"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/featuregate"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.yaml.in/yaml/v3"
)

type testCase struct {
	Processor string
	Signal    string
	Config    map[string]any
	Batches   []any
	// A file beside the cases that holds the batches, where several cases have the same.
	Traffic string
	// Feature gates that are not as they are by default.
	Gates map[string]bool
	// How long it may take until what is held is passed on.
	Wait time.Duration
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func factory(name string) processor.Factory {
	factories := []processor.Factory{
		cumulativetodeltaprocessor.NewFactory(),
		deltatocumulativeprocessor.NewFactory(),
		intervalprocessor.NewFactory(),
		logdedupprocessor.NewFactory(),
		metricsgenerationprocessor.NewFactory(),
		metricstransformprocessor.NewFactory(),
		redactionprocessor.NewFactory(),
		spanprocessor.NewFactory(),
		tailsamplingprocessor.NewFactory(),
	}
	for _, factory := range factories {
		if strings.ReplaceAll(factory.Type().String(), "_", "") == strings.ReplaceAll(name, "_", "") {
			return factory
		}
	}
	check(fmt.Errorf("no processor %s", name))
	return nil
}

// feed builds the processor of a signal and returns it with what sends it a request as OTLP/JSON.
func feed(of testCase, factory processor.Factory, config component.Config, out func([]byte, error)) (component.Component, func([]byte)) {
	ctx, settings := context.Background(), processortest.NewNopSettings(factory.Type())
	switch of.Signal {
	case "traces":
		sink, err := consumer.NewTraces(func(_ context.Context, all ptrace.Traces) error {
			if all.SpanCount() > 0 {
				out((&ptrace.JSONMarshaler{}).MarshalTraces(all))
			}
			return nil
		})
		check(err)
		made, err := factory.CreateTraces(ctx, settings, config, sink)
		check(err)
		return made, func(text []byte) {
			request, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(text)
			check(err)
			check(made.ConsumeTraces(ctx, request))
		}
	case "logs":
		sink, err := consumer.NewLogs(func(_ context.Context, all plog.Logs) error {
			if all.LogRecordCount() > 0 {
				out((&plog.JSONMarshaler{}).MarshalLogs(all))
			}
			return nil
		})
		check(err)
		made, err := factory.CreateLogs(ctx, settings, config, sink)
		check(err)
		return made, func(text []byte) {
			request, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(text)
			check(err)
			check(made.ConsumeLogs(ctx, request))
		}
	}
	sink, err := consumer.NewMetrics(func(_ context.Context, all pmetric.Metrics) error {
		if all.DataPointCount() > 0 {
			out((&pmetric.JSONMarshaler{}).MarshalMetrics(all))
		}
		return nil
	})
	check(err)
	made, err := factory.CreateMetrics(ctx, settings, config, sink)
	check(err)
	return made, func(text []byte) {
		request, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(text)
		check(err)
		check(made.ConsumeMetrics(ctx, request))
	}
}

func run(path string) string {
	text, err := os.ReadFile(path)
	check(err)
	var of testCase
	check(yaml.Unmarshal(text, &of))
	if of.Traffic != "" {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(path), "..", "traffic", of.Traffic))
		check(err)
		check(yaml.Unmarshal(text, &of.Batches))
	}
	for gate, enabled := range of.Gates {
		check(featuregate.GlobalRegistry().Set(gate, enabled))
		defer func() { check(featuregate.GlobalRegistry().Set(gate, !enabled)) }()
	}
	factory := factory(of.Processor)
	config := factory.CreateDefaultConfig()
	check(confmap.NewFromStringMap(of.Config).Unmarshal(config))
	check(xconfmap.Validate(config))
	var lines strings.Builder
	made, send := feed(of, factory, config, func(line []byte, err error) {
		check(err)
		lines.Write(line)
		lines.WriteByte('\n')
	})
	check(made.Start(context.Background(), componenttest.NewNopHost()))
	for _, batch := range of.Batches {
		text, err := json.Marshal(batch)
		check(err)
		send(text)
		lines.WriteString("-\n")
	}
	time.Sleep(of.Wait)
	check(made.Shutdown(context.Background()))
	return lines.String()
}

func main() {
	for _, path := range os.Args[2:] {
		name := strings.TrimSuffix(filepath.Base(path), ".json") + ".txt"
		check(os.WriteFile(filepath.Join(os.Args[1], name), []byte(run(path)), 0o644))
	}
}
