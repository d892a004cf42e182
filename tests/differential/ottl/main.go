// Prints what the Collector's processors make of the corpus, a line a case: the request in base64, or the
// fault with which the configuration is refused. Cases come on standard input, a JSON object a line.
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/filterprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/transformprocessor"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"
)

type testCase struct {
	Processor string         `json:"processor"`
	Signal    string         `json:"signal"`
	Config    map[string]any `json:"config"`
}

func run(one testCase, corpus string) (out []byte, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("panic: %v", fault)
		}
	}()
	var factory processor.Factory
	if one.Processor == "filter" {
		factory = filterprocessor.NewFactory()
	} else {
		factory = transformprocessor.NewFactory()
	}
	config := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(one.Config).Unmarshal(config); err != nil {
		return nil, err
	}
	if err := xconfmap.Validate(config); err != nil {
		return nil, err
	}
	settings := processortest.NewNopSettings(factory.Type())
	request, err := os.ReadFile(filepath.Join(corpus, one.Signal+".pb"))
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	host := componenttest.NewNopHost()
	switch one.Signal {
	case "traces":
		sink := new(consumertest.TracesSink)
		made, err := factory.CreateTraces(ctx, settings, config, sink)
		if err != nil {
			return nil, err
		}
		data, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(request)
		if err != nil {
			return nil, err
		}
		if err := made.Start(ctx, host); err != nil {
			return nil, err
		}
		if err := made.ConsumeTraces(ctx, data); err != nil {
			return nil, fmt.Errorf("propagated: %w", err)
		}
		result := ptrace.NewTraces()
		if len(sink.AllTraces()) > 0 {
			result = sink.AllTraces()[0]
		}
		return (&ptrace.ProtoMarshaler{}).MarshalTraces(result)
	case "metrics":
		sink := new(consumertest.MetricsSink)
		made, err := factory.CreateMetrics(ctx, settings, config, sink)
		if err != nil {
			return nil, err
		}
		data, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(request)
		if err != nil {
			return nil, err
		}
		if err := made.Start(ctx, host); err != nil {
			return nil, err
		}
		if err := made.ConsumeMetrics(ctx, data); err != nil {
			return nil, fmt.Errorf("propagated: %w", err)
		}
		result := pmetric.NewMetrics()
		if len(sink.AllMetrics()) > 0 {
			result = sink.AllMetrics()[0]
		}
		return (&pmetric.ProtoMarshaler{}).MarshalMetrics(result)
	default:
		sink := new(consumertest.LogsSink)
		made, err := factory.CreateLogs(ctx, settings, config, sink)
		if err != nil {
			return nil, err
		}
		data, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(request)
		if err != nil {
			return nil, err
		}
		if err := made.Start(ctx, host); err != nil {
			return nil, err
		}
		if err := made.ConsumeLogs(ctx, data); err != nil {
			return nil, fmt.Errorf("propagated: %w", err)
		}
		result := plog.NewLogs()
		if len(sink.AllLogs()) > 0 {
			result = sink.AllLogs()[0]
		}
		return (&plog.ProtoMarshaler{}).MarshalLogs(result)
	}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var one testCase
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		out, err := run(one, os.Args[1])
		if err != nil {
			fmt.Println("! " + strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		fmt.Println(base64.StdEncoding.EncodeToString(out))
	}
}
