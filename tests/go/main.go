// Clients on LiveKit's Go SDK: each publishes a sound, the first one a picture, and says what came
// of what the others sent.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"
)

type received struct {
	Sounds, Pictures, Packets, Lost, Messages atomic.Int64
}

func (r *received) follow(track *webrtc.TrackRemote) {
	if track.Kind() == webrtc.RTPCodecTypeAudio {
		r.Sounds.Add(1)
	} else {
		r.Pictures.Add(1)
	}
	next := -1
	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		number := int(packet.SequenceNumber)
		if next >= 0 {
			r.Lost.Add(int64(uint16(number - next)))
		}
		next = (number + 1) & 0xffff
		r.Packets.Add(1)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func publish(room *lksdk.Room, file string, source livekit.TrackSource, each time.Duration) {
	track, err := lksdk.NewLocalFileTrack(file, lksdk.ReaderTrackWithFrameDuration(each))
	check(err)
	options := &lksdk.TrackPublicationOptions{Name: file, Source: source}
	_, err = room.LocalParticipant.PublishTrack(track, options)
	check(err)
}

// publishers URL SOUND.ogg PICTURE.ivf SECONDS TOKEN…
func main() {
	url, sound, picture, tokens := os.Args[1], os.Args[2], os.Args[3], os.Args[5:]
	seconds, err := strconv.ParseFloat(os.Args[4], 64)
	check(err)
	all := make([]received, len(tokens))
	rooms := make([]*lksdk.Room, len(tokens))
	var joined sync.WaitGroup
	for index, token := range tokens {
		mine := &all[index]
		callback := &lksdk.RoomCallback{ParticipantCallback: lksdk.ParticipantCallback{
			OnTrackSubscribed: func(track *webrtc.TrackRemote, _ *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
				go mine.follow(track)
			},
			OnDataPacket: func(lksdk.DataPacket, lksdk.DataReceiveParams) { mine.Messages.Add(1) },
		}}
		joined.Add(1)
		go func() {
			defer joined.Done()
			room, err := lksdk.ConnectToRoomWithToken(url, token, callback)
			check(err)
			rooms[index] = room
			publish(room, sound, livekit.TrackSource_MICROPHONE, 20*time.Millisecond)
			if index == 0 {
				publish(room, picture, livekit.TrackSource_CAMERA, time.Second/15)
			}
		}()
	}
	joined.Wait()
	fmt.Println("joined")
	data := lksdk.UserData([]byte("from Go"))
	check(rooms[0].LocalParticipant.PublishDataPacket(data, lksdk.WithDataPublishReliable(true)))
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	said := make([]map[string]int64, len(all))
	for index := range all {
		one := &all[index]
		said[index] = map[string]int64{
			"sounds": one.Sounds.Load(), "pictures": one.Pictures.Load(),
			"packets": one.Packets.Load(), "lost": one.Lost.Load(), "messages": one.Messages.Load(),
		}
		rooms[index].Disconnect()
	}
	check(json.NewEncoder(os.Stdout).Encode(said))
}
