// Prints what the Collector's host metrics receiver makes of a host at its second scrape, a line a
// point: scope, metric, unit, kind, type, description, resource, attributes, value, sorted.
package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"sort"
	"strings"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/hostmetricsreceiver"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func attributes(of pcommon.Map) string {
	var all []string
	for key, value := range of.All() {
		all = append(all, key+"="+value.AsString())
	}
	return strings.Join(all, ",")
}

func points(metric pmetric.Metric) (string, pmetric.NumberDataPointSlice) {
	if metric.Type() == pmetric.MetricTypeGauge {
		return "gauge", metric.Gauge().DataPoints()
	}
	if metric.Sum().IsMonotonic() {
		return "counter", metric.Sum().DataPoints()
	}
	return "up-down counter", metric.Sum().DataPoints()
}

func lines(all pmetric.Metrics) []string {
	var lines []string
	for _, resource := range all.ResourceMetrics().All() {
		for _, scope := range resource.ScopeMetrics().All() {
			for _, metric := range scope.Metrics().All() {
				kind, points := points(metric)
				for _, point := range points.All() {
					number, value := "double", fmt.Sprint(point.DoubleValue())
					if point.ValueType() == pmetric.NumberDataPointValueTypeInt {
						number, value = "int", fmt.Sprint(point.IntValue())
					}
					lines = append(lines, strings.Join([]string{
						path.Base(scope.Scope().Name()), metric.Name(), metric.Unit(), kind, number,
						metric.Description(), attributes(resource.Resource().Attributes()),
						attributes(point.Attributes()), value,
					}, " | "))
				}
			}
		}
	}
	sort.Strings(lines)
	return lines
}

func main() {
	conf, err := confmaptest.LoadConf(os.Args[1])
	check(err)
	factory := hostmetricsreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	check(config.(confmap.Unmarshaler).Unmarshal(conf))
	done := make(chan struct{})
	rounds := 0
	sink, err := consumer.NewMetrics(func(_ context.Context, all pmetric.Metrics) error {
		if rounds++; rounds == 2 {
			for _, line := range lines(all) {
				fmt.Println(line)
			}
			close(done)
		}
		return nil
	})
	check(err)
	settings := receivertest.NewNopSettings(factory.Type())
	receiver, err := factory.CreateMetrics(context.Background(), settings, config, sink)
	check(err)
	check(receiver.Start(context.Background(), componenttest.NewNopHost()))
	select {
	case <-done:
	case <-time.After(time.Minute):
		fmt.Fprintln(os.Stderr, "it does not scrape twice in a minute")
		os.Exit(1)
	}
}
