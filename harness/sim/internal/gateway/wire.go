package gateway

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// kind is the kind of a message between gateway and worker.
type kind uint64

// The kinds of messages. Those without a direction in their names come from workers.
const (
	gatewayHello   kind = 0
	workerConnect  kind = 1
	gatewayReady   kind = 2
	gatewayRequest kind = 3
	workerReady    kind = 4
	requestAck     kind = 5
	workerReply    kind = 6
	gatewayReplied kind = 7
	workerPause    kind = 8
	workerBeat     kind = 9
	gatewayBeat    kind = 10
	extendLease    kind = 12
	gatewayLease   kind = 13
	gatewayNoSync  kind = 14
)

// The statuses of a worker's reply.
const (
	replyNotCompleted = 0
	replyDone         = 1
)

// fields are the fields of a Protocol Buffers message, by number. Of numbers it keeps the last value, as the format says.
type fields struct {
	bytes   map[protowire.Number][][]byte
	numbers map[protowire.Number]uint64
}

func parse(raw []byte) (fields, error) {
	f := fields{map[protowire.Number][][]byte{}, map[protowire.Number]uint64{}}
	for len(raw) > 0 {
		number, typ, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return f, fmt.Errorf("reading a message: %w", protowire.ParseError(n))
		}
		raw = raw[n:]
		switch typ {
		case protowire.BytesType:
			var v []byte
			if v, n = protowire.ConsumeBytes(raw); n >= 0 {
				f.bytes[number] = append(f.bytes[number], v)
			}
		case protowire.VarintType:
			var v uint64
			if v, n = protowire.ConsumeVarint(raw); n >= 0 {
				f.numbers[number] = v
			}
		default:
			n = protowire.ConsumeFieldValue(number, typ, raw)
		}
		if n < 0 {
			return f, fmt.Errorf("reading field %d of a message: %w", number, protowire.ParseError(n))
		}
		raw = raw[n:]
	}
	return f, nil
}

// data returns a field of bytes; nil if it is not there.
func (f fields) data(n protowire.Number) []byte {
	if all := f.bytes[n]; len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}

func (f fields) text(n protowire.Number) string { return string(f.data(n)) }

// message is a message that is being built.
type message []byte

func (m message) text(n protowire.Number, v string) message { return m.data(n, []byte(v)) }

func (m message) data(n protowire.Number, v []byte) message {
	return protowire.AppendBytes(protowire.AppendTag(m, n, protowire.BytesType), v)
}

func (m message) number(n protowire.Number, v uint64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, n, protowire.VarintType), v)
}

// copied appends fields of another message under the same numbers.
func (m message) copied(from fields, numbers ...protowire.Number) message {
	for _, n := range numbers {
		if v := from.data(n); v != nil {
			m = m.data(n, v)
		}
	}
	return m
}
