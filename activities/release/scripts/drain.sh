# Until nobody is connected any more, or the time is over.
#
# Parameters: limit (milliseconds).

began=$(microseconds)
before=$(connections)
left=$before
told=
while ((left)) && (($(microseconds) - began < limit * 1000)); do
    if [ "$told" != "$left" ]; then result "connections $left" && told=$left; fi
    sleep 0.2
    left=$(connections)
done
result "before $before"
result "left $left"
